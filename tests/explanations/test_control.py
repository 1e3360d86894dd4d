"""Explanations of features of a random-model control, beside those of the model: what they are worth of nothing."""

from pathlib import Path

import numpy as np
import pytest
from measured import made

from polysem.explanations.explain_features import explain_features
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.tables.parts.explanation_metrics import explanation_metrics

from .case import CAT, SITE, causes, read_said, write

CONTROL = ("c", SITE, "neurons")


def unlearnt(ids: np.ndarray) -> np.ndarray:
    """The same activations at other tokens."""
    found = causes(ids)
    return np.random.default_rng(3).permutation(found.reshape(-1, found.shape[-1])).reshape(found.shape)


def explained_with(root, model, analysis, relatives, controls):
    """Examples, what is said of them, and scores, one after the other."""
    place = Place(model, root=str(root))
    scopes = {"relatives": relatives, "controls": controls}
    examples = made("model", "explained_examples", place, "language", analysis, **scopes)
    write_table(Path(place.table("explained_examples")), examples)
    explain_features(model, root=str(root))
    said = read_said(place)["explanations"]
    return examples, said, made("model", "explanations", place, "language", analysis, relatives=relatives)


@pytest.fixture(scope="module")
def beside(tmp_path_factory, explained):
    """A control explained beside the model, and by itself, as if it were the model."""
    root = tmp_path_factory.mktemp("beside")
    write(root, explained.relatives)
    write(root, [CONTROL], model="c", cause=unlearnt)
    alone = explained_with(root, "c", explained.analysis, [CONTROL], [])
    return explained_with(root, "m", explained.analysis, explained.relatives, [CONTROL]), alone


def test_what_is_said_and_measured_of_the_model_does_not_change(beside, explained):
    (examples, said, table), _ = beside
    assert examples["model"].values.tolist() == ["m", "c"]
    ours = [one for one in said if one["model"] == "m"]
    assert ours == explained.said["explanations"]
    own = [name for name in table.variables if not name.startswith("control_")]
    assert set(table.variables) - set(own) == {"control_mean_score", "control_scored_features"}
    assert table[own].drop_attrs().identical(explained.table.drop_attrs())


def test_the_means_of_the_control_are_those_that_it_has_as_a_model(beside):
    (_, said, table), (_, alone_said, alone) = beside
    assert {one["feature"] for one in said if one["model"] == "c"} == {one["feature"] for one in alone_said}
    rules = [name for name in table["explainer"].values if name != "logit weights"]  # a control has no table of logits
    mean, expected = (
        of[name].sel(explainer=rules).values for of, name in ((table, "control_mean_score"), (alone, "mean_score"))
    )
    np.testing.assert_array_equal(mean, expected)
    assert np.isfinite(expected).all() and table["control_scored_features"].values == alone["scored_features"].values
    assert np.isnan(table["control_mean_score"].sel(explainer="logit weights").values).all()


def test_explanations_of_a_model_that_learnt_nothing_are_worth_less(beside):
    (_, _, table), _ = beside
    at = {"explainer": "token", "score": "simulation", "estimate": "estimate"}
    assert float(table["control_mean_score"].sel(at)[0]) < 0.2 < float(table["mean_score"].sel(at)[0])
    numbers = explanation_metrics(table)[SITE, "neurons"]
    assert numbers["control_simulation_token"] == float(table["control_mean_score"].sel(at)[0])
    assert "control_simulation_logit_weights" not in numbers


def test_a_dictionary_without_its_like_in_the_control_has_no_number_of_it(beside, explained, tmp_path):
    write(tmp_path, explained.relatives)
    other = ("c", SITE, "topk")
    write(tmp_path, [other], model="c", cause=unlearnt)
    controls = [("c", "elsewhere", "neurons")]
    (tmp_path / "activations/c").joinpath("elsewhere").symlink_to(tmp_path / "activations/c" / SITE)
    (tmp_path / "tables/c").joinpath("elsewhere").mkdir()
    (tmp_path / "tables/c/elsewhere/neurons").symlink_to(tmp_path / "tables/c" / SITE / "topk")
    _, said, table = explained_with(tmp_path, "m", explained.analysis, explained.relatives, controls)
    assert any(one["model"] == "c" and one["feature"] == CAT for one in said)
    assert np.isnan(table["control_mean_score"].values).all() and table["control_scored_features"].values == [0]
