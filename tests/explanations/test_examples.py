"""S1.F10: which examples are shown and which are held out, against the causes of the activations."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from measured import made

from polysem.explanations.explain_features import explain_features
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.analysis import Analysis
from polysem.tables.parts.token_tags import held_out
from polysem.tables.passes.explanations.drawing import Half, layout

from .case import AFTER, ALWAYS, ANIMAL, CAT, DEAD, NOISE, RARE, SITE, causes, texts, write, write_store

IDS = texts()
F = causes(IDS)


def contexts(explained, feature: int, half: int, role: str) -> list[tuple[int, int, bool]]:
    """Sequence, position and hardness of the examples of a role."""
    table = explained.examples
    row = table["feature"].values.tolist().index(feature)
    found = zip(
        *(
            table[name].values[row, half, table["role"].values == role].tolist()
            for name in ("sequence", "position", "hard")
        ),
        strict=True,
    )
    return [(sequence, position, bool(hard)) for sequence, position, hard in found if sequence >= 0]


def around(sequence: int, position: int, feature: int) -> np.ndarray:
    """Activations in the window of a token, BOS left out."""
    return F[sequence, max(1, position - 4) : position + 3, feature]


def test_shown_and_held_out_examples_have_no_text_in_common(explained):
    table = explained.examples
    for half in (0, 1):
        sequence = table["sequence"].values[:, half]
        assert (held_out(sequence[sequence >= 0].astype(np.int64)) == bool(half)).all() and (sequence >= 0).any()
    assert table["half"].values.tolist() == ["shown", "held out"]


@pytest.mark.parametrize("feature", [CAT, ANIMAL, AFTER, NOISE])
@pytest.mark.parametrize("half", [0, 1])
def test_examples_are_what_their_roles_say(explained, feature, half):
    active = {(one, two) for one, two in np.argwhere(F[..., feature] > 0).tolist() if two}
    kinds = {IDS[place] for place in active if held_out(np.array([place[0]]))[0] == bool(half)}
    top, spread, inactive, marked = (
        contexts(explained, feature, half, role) for role in ("top", "active", "inactive", "marked")
    )
    assert len(top) == 10 and len({sequence for sequence, *_ in top}) == 10
    assert len(spread) == 20 and all((one, two) in active and not hard for one, two, hard in [*spread, *top])
    assert len(inactive) == len(marked) == 20 and len(set(inactive)) == len(set(marked)) == 20
    for one, two, hard in inactive:
        assert not around(one, two, feature).any() and hard == (IDS[one, two] in kinds)
    for one, two, hard in marked:
        assert not F[one, two, feature] and hard == (IDS[one, two] in kinds)
    if feature == AFTER:
        assert sum(hard for *_, hard in inactive) == 10 and all(hard for *_, hard in marked)
        assert {int(IDS[one, two]) for one, two, hard in marked} == {5}
    if feature == CAT:  # it is active on all tokens of its kind
        assert not any(hard for *_, hard in [*inactive, *marked])


def test_top_examples_are_the_strongest_of_their_sequences(explained):
    for half in (0, 1):
        top = contexts(explained, NOISE, half, "top")
        mine = np.flatnonzero(held_out(np.arange(len(IDS))) == bool(half))
        best = np.sort(F[mine, 1:, NOISE].max(axis=1))[::-1][:10]
        assert [F[one, two, NOISE] for one, two, _ in top] == pytest.approx(best.tolist())


def test_active_examples_run_through_the_ranks_of_the_activation(explained):
    found = [F[one, two, NOISE] for one, two, _ in contexts(explained, NOISE, 1, "active")]
    assert found == sorted(found) and found[0] < 0.15 and found[-1] > 0.85


def test_windows_hold_the_activations_around_and_nothing_beyond_the_sequence(explained):
    table = explained.examples
    row, offsets = table["feature"].values.tolist().index(ALWAYS), table["offset"].values
    for half in (0, 1):
        for context in range(table.sizes["context"]):
            sequence, position = (int(table[name].values[row, half, context]) for name in ("sequence", "position"))
            window = table["window_activation"].values[row, half, context]
            if sequence < 0:
                assert np.isnan(window).all()
                continue
            places = position + offsets
            there = (places >= 1) & (places < IDS.shape[1])
            assert np.isnan(window[~there]).all()
            assert window[there] == pytest.approx(F[sequence, places[there], ALWAYS])


def test_states_say_why_a_feature_is_not_explained(explained):
    table = explained.examples
    states = dict(zip(table["feature"].values.tolist(), table["state"].values.tolist(), strict=True))
    assert states[DEAD] == "never active" and states[RARE] == "too few examples"
    assert all(state == "enough examples" for feature, state in states.items() if feature not in (DEAD, RARE))
    assert not contexts(explained, ALWAYS, 0, "inactive") and not contexts(explained, ALWAYS, 1, "marked")


def test_embeddings_find_an_intruder_where_what_enters_tells_it(explained):
    """Of CAT every active example is one and the same vector, and an intruder is at right angles to all. The examples
    of ANIMAL are at right angles to each other, so that nothing tells the intruder, and the first of equal ones is
    taken."""
    table = explained.examples
    share = dict(zip(table["feature"].values.tolist(), table["intruder_share"].values.tolist(), strict=True))
    trials = dict(zip(table["feature"].values.tolist(), table["intruder_trials"].values.tolist(), strict=True))
    assert share[CAT] == 1 and trials[CAT] == 20
    assert np.isnan(share[ALWAYS]) and trials[ALWAYS] == 0 and table["no_intruder"].values.tolist() == [""]
    assert 0 < share[ANIMAL] < 1


def test_an_image_has_no_words(tmp_path):
    place = Place("pictures", root=str(tmp_path))
    images = {"pixels": np.zeros((4, 2), np.float32), "labels": np.zeros(4, np.int32)}
    write_store(Path(place.tokens("eval").store), {"classes": 2}, images)
    for name in ("explained_examples", "explanations"):
        table = made("model", name, place, "classifier", Analysis(), relatives=[])
        assert "an image has none" in table.attrs["not_applicable"] and not table.data_vars


def test_a_single_text_explains_nothing_and_breaks_nothing(tmp_path):
    relatives = [("m", SITE, "neurons")]
    write(tmp_path, relatives, sequences=1)
    place = Place("m", root=str(tmp_path))
    examples = made("model", "explained_examples", place, "language", Analysis(), relatives=relatives, controls=[])
    assert set(examples["state"].values.tolist()) == {"too few examples", "never active"}
    write_table(Path(place.table("explained_examples")), examples)
    explain_features("m", root=str(tmp_path))
    table = made("model", "explanations", place, "language", Analysis(), relatives=relatives)
    assert table.attrs["not_applicable"] == "no feature of the model has examples enough to be explained"


def test_the_same_examples_are_drawn_again(explained):
    scopes = {"relatives": explained.relatives, "controls": []}
    again = made("model", "explained_examples", explained.place, "language", explained.analysis, **scopes)
    xr.testing.assert_identical(again, explained.examples)
    other = explained.analysis.model_copy(update={"baseline_seed": 1})
    changed = made("model", "explained_examples", explained.place, "language", other, **scopes)
    assert (changed["sequence"].values != explained.examples["sequence"].values).any()


def test_a_half_with_few_active_tokens_gives_all_of_them_once():
    """Four tokens of two sequences, of which three are active."""
    half = Half(np.arange(10, 14), np.array([0, 0, 2, 2]), np.array([1, 2, 1, 2]), np.array([3, 4, 3, 4]), 1, 1, 0)
    drawn = half.draw(np.array([1.0, 2.0, 5.0, 0.0], np.float32), 4)
    roles = np.array(layout(4))
    assert drawn.token[roles == "top"].tolist() == [12, 11]
    assert sorted(drawn.token[roles == "active"].tolist()) == [-1, 10, 11, 12]
    assert drawn.token[roles == "inactive"].tolist() == [-1] * 4, "the only inactive token has an active one beside it"
    assert drawn.token[roles == "marked"].tolist() == [13, -1, -1, -1] and drawn.hard[roles == "marked"][0]
    assert set(drawn.token[roles == "random"].tolist()) <= {10, 11, 12, 13}


def test_features_without_input_weights_have_no_intruders(explained, tmp_path):
    from polysem.tables.parts.directions import Directions, write_directions

    for name in ("tokens", "activations", "models"):
        (tmp_path / name).symlink_to(explained.root / name)
    tables = tmp_path / "tables/m"
    tables.mkdir(parents=True)
    (tables / SITE).symlink_to(explained.root / "tables/m" / SITE)
    write_directions(tables / "directions.safetensors", Directions({}))
    table = made(
        "model", "explained_examples", Place("m", root=str(tmp_path)), "language", explained.analysis,
        relatives=explained.relatives,
        controls=[],
    )  # fmt: skip
    assert "have no input weights" in table["no_intruder"].values[0]
    assert np.isnan(table["intruder_share"].values).all() and not table["intruder_trials"].values.any()
    np.testing.assert_array_equal(table["sequence"].values, explained.examples["sequence"].values)
