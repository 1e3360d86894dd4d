"""S1.F11: case studies of three small dictionaries whose features are known, by hand and by slow loops."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from measured import NO_CASES, made

from polysem.activations.rows import ActivationRows
from polysem.io.stores import create_array, written_store
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.numerics.resampling import interval_of_sums
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS
from polysem.saes.activation_functions import standard
from polysem.saes.sae import SAE, save_sae
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.case_studies.chosen import LISTED, Case, chosen_cases
from polysem.tables.passes.case_studies.of_tag import by_sequence
from polysem.tables.passes.case_studies.seen import encoded
from polysem.tables.passes.case_studies.twins import _correlations

SITE, SEQUENCES, LENGTH, WIDTH = "blocks.0.mlp.hook_post", 40, 8, 6
NAMES = ("kind:dna", "object")
RELATIVES = [["m", SITE, NEURONS], ["m", SITE, "one_seed=0"], ["m", SITE, "two"]]
VALUES = {
    "tags": ["kind:dna", "object", "kind:klingon"],
    "dictionaries": ["one_seed=0", "two"],
    "features": {},
    "other_seeds": {f"{SITE}/one_seed=0": "one_seed=1"},
}


def sae(features: list[int]) -> SAE:
    """Feature i is neuron `features[i]`, above 0."""
    w = torch.zeros(WIDTH, len(features))
    w[features, range(len(features))] = 1
    return SAE(w, torch.zeros(len(features)), w.T.clone(), torch.zeros(WIDTH), standard.Function())


def write(place: Place, name: str, variables: dict[str, xr.Variable]) -> None:
    for one in variables.values():
        one.attrs |= {"long_name": name, "units": "1"}
    Path(place.tables).mkdir(parents=True, exist_ok=True)
    write_table(Path(place.table(name)), xr.Dataset(variables))


def tags_of(place: Place, best: list[int], f1: list[float], threshold: list[float], main: list[int]) -> None:
    variables = {
        "tag": xr.Variable("tag", np.array(NAMES, object)),
        "best_feature": xr.Variable("tag", best),
        "f1_choosing": xr.Variable("tag", f1),
        "threshold": xr.Variable("tag", threshold),
        "main_tag": xr.Variable("feature", main),
    }
    write(place, "tags", variables)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> SimpleNamespace:
    """Neuron 0 knows the tag DNA but for noise, neuron 1 the tag object now and then; neuron 5 is never active."""
    root = str(tmp_path_factory.mktemp("results"))
    place, draw = Place("m", root=root), np.random.default_rng(3)
    carried = np.zeros((SEQUENCES, LENGTH, 2), bool)
    carried[::4, :, 0] = True
    carried[..., 1] = draw.random((SEQUENCES, LENGTH)) < 0.3
    x = draw.random((SEQUENCES, LENGTH, WIDTH)).astype(np.float32) - 0.5
    x[..., 0] = np.where(carried[..., 0] ^ (draw.random((SEQUENCES, LENGTH)) < 0.02), 2 + x[..., 0], -1)
    x[..., 5] = -1
    where, positions = (of.reshape(-1).astype(np.int64) for of in np.indices((SEQUENCES, LENGTH)))
    attributes = {"tags": list(NAMES)}
    tokens = Path(place.tokens("eval").store)
    with written_store(tokens, attributes=attributes, params={}, code="", device="cpu") as group:
        words = (carried[..., 0] + 2 * carried[..., 1]).astype(np.uint64)[..., None]
        lengths = np.full(SEQUENCES, LENGTH, np.int32)
        for name, values in {"ids": np.zeros((SEQUENCES, LENGTH), np.int32), "tags": words, "length": lengths}.items():
            dims = ("sequence", "position", "word")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dims, compressed=True)[:] = values
    store = Path(place.at(SITE).activations("eval").store)
    with written_store(store, attributes={}, params={}, code="", device="cpu") as group:
        rows = x.reshape(-1, WIDTH)
        create_array(group, "activations", rows.shape, "float32", ("token", "neuron"), compressed=False)[:] = rows
        for name, values in {"sequence": where, "position": positions}.items():
            create_array(group, name, values.shape, "int32", ("token",), compressed=False)[:] = values
    for name, features in {"one_seed=0": [0, 1, 5], "one_seed=1": [3, 0, 1], "two": [1, 2]}.items():
        save_sae(sae(features), Path(place.at(SITE, name).sae.path), {}, None)
    tags_of(place.at(SITE, NEURONS), [0, 1], [0.9, 0.2], [1.0, 0.1], [0, 1, 1, 1, 1, -1])
    tags_of(place.at(SITE, "one_seed=0"), [0, 1], [0.9, 0.2], [1.5, 0.3], [0, 1, -1])
    tags_of(place.at(SITE, "two"), [-1, 0], [np.nan, 0.3], [0.0, 0.2], [1, 1])
    ablation = {
        "site": xr.Variable("place", np.array([SITE, SITE], object)),
        "dictionary": xr.Variable("place", np.array(["two", "one_seed=0"], object)),
        "of_place": xr.Variable("intervened", [0, 1, 1]),
        "feature": xr.Variable("intervened", [0, 0, 1]),
        "kl": xr.Variable("intervened", [0.1, 0.2, 0.3]),
        "random_smaller": xr.Variable("intervened", np.float32([0.5, 0.95, 1.0])),
    }
    write(place, "ablation", ablation)
    return SimpleNamespace(place=place, x=x, carried=carried)


def table(study: SimpleNamespace, **changed) -> xr.Dataset:
    return made(
        "model",
        "case_studies",
        study.place,
        "language",
        Analysis(),
        relatives=RELATIVES,
        reseeded=[["m", SITE, "one_seed=1"]],
        case_studies=VALUES | changed,
    )


def test_of_each_tag_the_best_feature_and_the_best_neuron_are_studied(study) -> None:
    found = table(study)
    named = list(zip(found["dictionary"].values, found["feature"].values, found["tag"].values, strict=True))
    assert named == [
        ("one_seed=0", 0, "kind:dna"),
        (NEURONS, 0, "kind:dna"),
        ("two", 0, "object"),
        (NEURONS, 1, "object"),
    ]
    assert found.attrs["unknown_tags"] == "kind:klingon"
    assert int(found["case_studies"]) == 2
    only = table(study, dictionaries=["one_seed=0"])
    assert only["dictionary"].values.tolist()[2] == "one_seed=0", "two may not be chosen"


def test_numbers_on_half_b_are_those_of_counting(study) -> None:
    found = table(study)
    half = held_out(np.arange(SEQUENCES))
    value, tag = study.x[half, :, 0].clip(0), study.carried[half, :, 0]
    above = value >= 1.5
    both = (above & tag).sum()
    expected = {
        "precision": both / above.sum(),
        "recall": both / tag.sum(),
        "f1": 2 * both / (above.sum() + tag.sum()),
        "specificity": value[tag].sum() / value.sum(),
        "sensitivity": np.corrcoef(value.ravel(), tag.ravel())[0, 1],
        "mean_with": value[tag].mean(),
        "mean_without": value[~tag].mean(),
    }
    for name, number in expected.items():
        assert float(found[name][0, 0]) == pytest.approx(number, rel=1e-5), name
        assert float(found[name][0, 1]) <= number <= float(found[name][0, 2]), name
    neuron = 2 * (tag & (value >= 1.0)).sum() / (tag.sum() + (value >= 1.0).sum())
    assert float(found["neuron_f1"][0, 0]) == pytest.approx(neuron)
    assert float(found["f1_above_neuron"][0, 0]) == pytest.approx(expected["f1"] - neuron, abs=1e-9)


def test_the_twin_is_the_feature_of_the_other_seed_that_correlates_best(study) -> None:
    found = table(study)
    assert found["twin_dictionary"].values.tolist() == ["one_seed=1", "", "", ""]
    assert found["twin"].values.tolist() == [1, -1, -1, -1]
    assert float(found["twin_correlation"][0, 0]) == pytest.approx(1)
    own, other = np.random.default_rng(0).random((2, 50, 3))
    other[:, 2] = 0.5
    expected = np.corrcoef(own.T, other[:, :2].T)[:3, 3:]
    tokens = torch.from_numpy(other)
    assert _correlations(own, [tokens[:20], tokens[20:]])[:, :2] == pytest.approx(expected)
    assert np.isnan(_correlations(own, [tokens])[:, 2]).all(), "it never changes"


def test_each_part_of_the_bar_is_met_or_not_or_not_known(study) -> None:
    found = table(study)
    assert found["kl"].values[[0, 2]] == pytest.approx([0.2, 0.1])
    assert found["meets_f1"].values.tolist() == [1, 1, 0, 0]
    assert found["meets_effect"].values.tolist() == [1, -1, 0, -1], "0.95 in float32 is 0.95"
    assert found["meets_neuron"].values.tolist() == [0, -1, 0, -1], "the neuron is as good"
    assert found["meets_twin"].values.tolist() == [1, -1, -1, -1], "no other seed of two"
    assert int(found["case_studies_meeting_bar"]) == 0


def test_listed_features_are_held_against_their_main_tag(study) -> None:
    found = table(study, tags=[], features={f"{SITE}/one_seed=0": [0, 2]})
    assert found["tag"].values.tolist() == ["kind:dna", ""]
    assert np.isnan(found["f1"].values[1]).all() and np.isfinite(found["f1"].values[0, 0])
    assert found["twin"].values.tolist() == [1, -1], "the other one is never active"
    assert int(found["case_studies"]) == 0, "only those of tags are counted"


def test_without_a_feature_the_table_says_why(study) -> None:
    assert "kind:klingon" in table(study, tags=["kind:klingon"]).attrs["not_applicable"]
    assert table(study, tags=[]).attrs["not_applicable"].startswith("no tag has a feature")


def test_few_sequences_with_the_tag_are_in_every_resample() -> None:
    value, strata = np.array([5.0, 7.0, *np.zeros(30)]), np.array([1, 1, *np.zeros(30, int)])
    sums = {"value": value, "tag": (value > 0).astype(float)}

    def mean(of):
        return of["value"] / of["tag"]

    assert np.isnan(interval_of_sums(sums, mean)).all(), "some resample has none"
    assert interval_of_sums(sums, mean, strata=strata) == (5.0, 7.0)
    assert np.isnan(interval_of_sums(sums, mean, strata=np.array([1, *np.zeros(31, int)]))).all()
    assert by_sequence(np.array([4, 4, 9]), np.array([1.0, 2.0, 5.0])).tolist() == [3.0, 5.0]


def test_no_case_is_named_by_a_study_that_names_none() -> None:
    assert set(NO_CASES) == set(VALUES)


def test_what_is_below_0_counts_as_0(activation_store) -> None:
    x = np.array([[-0.5, 2.0], [0.25, -3.0]], np.float32)
    neurons = SimpleNamespace(path={"weights": Path("m/s/neurons")}.__getitem__, device="cpu")
    (found,) = encoded(neurons, ActivationRows(activation_store(x)))
    assert found.tolist() == [[0.0, 2.0], [0.25, 0.0]]


def test_a_listed_feature_of_tokens_without_tags_has_none(tmp_path) -> None:
    write_table(tmp_path / "tags.nc", xr.Dataset(attrs={"tokens": 1}))
    place = Place("m", SITE, "one")
    one = SimpleNamespace(place=place, table_file=lambda name: tmp_path / f"{name}.nc")
    wanted = {"tags": ["kind:dna"], "dictionaries": ["one"], "features": {f"{SITE}/one": [3]}}
    inputs = SimpleNamespace(value=lambda word: wanted, each=lambda scope: [one])
    assert chosen_cases(inputs) == [Case(place, 3, "", 0.0, LISTED)]
