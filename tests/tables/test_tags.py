"""What features know of tags: by hand, against a slow count of all pairs, and where there is nothing to know."""

import numpy as np
import pytest
import xarray as xr

from polysem.io.stores import create_array, written_store
from polysem.io.tables import read_table, write_table
from polysem.tables.parts import tag_counts
from polysem.tables.parts.tag_distributions import EDGES, candidates
from polysem.tables.parts.token_tags import TokenTags, held_out
from polysem.tables.passes.survey import tags

B, A = 0, 1
"""Two sequences, one of each half."""


def test_the_halves_follow_from_the_number_of_the_sequence_and_are_about_equal():
    # The mixing function of SplitMix64 makes 0xe220a8397b1dcdaf, which is odd, of 0.
    assert np.flatnonzero(held_out(np.arange(16))).tolist() == [0, 2, 4, 6, 8, 10, 12, 13, 14, 15]
    assert 49_000 < held_out(np.arange(100_000)).sum() < 51_000


def test_every_tag_of_more_than_64_comes_back_in_any_order_of_the_tokens(tagged_store):
    random = np.random.default_rng(0)
    carried = random.random((2100, 3, 130)) < 0.1
    names = [f"t{number}" for number in range(130)]
    known = TokenTags(tagged_store(names, carried))
    assert known.names == tuple(names)
    sequence, position = random.integers(2100, size=500), random.integers(3, size=500)
    np.testing.assert_array_equal(known.at(sequence, position), carried[sequence, position])


def test_the_classes_of_images_are_their_tags(tmp_path):
    path = tmp_path / "eval.zarr"
    with written_store(path, attributes={"classes": 4, "tags": []}, params={}, code="", device="cpu") as group:
        create_array(group, "labels", (3,), "int32", ("image",), compressed=True)[:] = [2, 0, 2]
    known = TokenTags(path)
    assert known.names == ("class:0", "class:1", "class:2", "class:3")
    carried = known.at(np.array([1, 2]), np.array([0, 0]))
    assert carried.tolist() == [[True, False, False, False], [False, False, True, False]]


def by_hand() -> tuple[np.ndarray, np.ndarray]:
    """A sequence of each half, of six tokens, three features, one of them never active, tags x and y."""
    f = np.zeros((2, 6, 3))
    carried = np.zeros((2, 6, 2), bool)
    carried[A, :3, 0] = carried[A, 3:5, 1] = True
    f[A, :, 0] = [2, 3, 4, 0, 0, 1]  # x, and weakly once without it: from 2 on it is x
    f[A, :, 1] = [0, 0, 0, 5, 0, 5]  # half of y
    carried[B, :4, 0] = carried[B, 4:, 1] = True
    f[B, :, 0] = [1, 3, 4, 0, 2, 0]
    f[B, :, 1] = [0, 0, 6, 0, 2, 0]
    return f, carried


def test_scores_worked_by_hand(tag_table):
    f, carried = by_hand()
    table = tag_table(f, ["x", "y"], carried, least=1)
    assert table["best_feature"].values.tolist() == [0, 1]
    assert table["threshold"].values.tolist() == [2, 5]
    np.testing.assert_allclose(table["f1_choosing"], [1, 0.5])
    # Half B: feature 0 reaches 2 on three tokens, two of the four of x; feature 1 reaches 5 once, on no token of y.
    np.testing.assert_allclose(table["precision"], [2 / 3, 0])
    np.testing.assert_allclose(table["recall"], [1 / 2, 0])
    np.testing.assert_allclose(table["f1"], [4 / 7, 0])
    np.testing.assert_allclose(table["true_negative_rate"], [1 / 2, 3 / 4])
    # Pairs of a token of x (1, 3, 4, 0) and one of the others (2, 0): 1+0, 1+1, 1+1, 0.5+0 → 1 + 2 + 2 + 0.5 of 8.
    # Pairs of a token of y (2, 0) and one of the others (0, 0, 6, 0): 3 of the 2, three ties of the 0 → 3 + 1.5 of 8.
    np.testing.assert_allclose(table["auroc"], [5.5 / 8, 4.5 / 8])
    np.testing.assert_allclose(table["base_rate"], [2 / 3, 1 / 3])
    np.testing.assert_allclose(table["f1_always_active"], [4 / 5, 1 / 2])
    np.testing.assert_allclose(table["mean_with"], [2, 1])
    np.testing.assert_allclose(table["mean_without"], [1, 1.5])
    np.testing.assert_allclose(table["specificity"], [0.8, 0.25])
    np.testing.assert_allclose(table["sensitivity"][0], np.corrcoef(f[B, :, 0], carried[B, :, 0])[0, 1])
    assert table["tokens_choosing"].values.tolist() == [3, 2]
    assert table["tokens_held_out"].values.tolist() == [4, 2]
    # With active above 0: feature 0 is active four times in half A, three of them on the three of x.
    assert table["active_feature"].values.tolist() == [0, 1]
    np.testing.assert_allclose(table["active_precision"], [3 / 4, 1 / 2])
    np.testing.assert_allclose(table["active_recall"], [3 / 4, 1 / 2])
    np.testing.assert_allclose(table["active_f1"], [3 / 4, 1 / 2])
    assert table["found"].values.tolist() == [False, False]  # x has 4/7, but always active has 4/5


def test_specificity_and_sensitivity_are_the_document_s_and_what_a_threshold_decides_has_names_of_its_own(tag_table):
    f, carried = by_hand()
    words = {str(name): table.attrs["long_name"] for name, table in tag_table(f, ["x", "y"], carried, least=1).items()}
    assert "activation mass" in words["specificity"] and "correlation of activation and tag" in words["sensitivity"]
    assert {"precision", "recall", "true_negative_rate"} <= words.keys()
    meant = [name for name in words if "specificity" in name or "sensitivity" in name]
    assert meant == ["sensitivity", "specificity"]
    assert len({words[name] for name in (*meant, "precision", "recall", "true_negative_rate")}) == 5


def test_monosemanticity_worked_by_hand(tag_table):
    f, carried = by_hand()
    table = tag_table(f, ["x", "y"], carried, least=1)
    # x is carried by three of six tokens of half A: not by more than half, so it may be a main tag.
    assert table["main_tag"].values.tolist() == [0, 1, -1]
    np.testing.assert_allclose(table["monosemanticity"], [0.8, 0.25, np.nan])
    np.testing.assert_allclose(table["main_tag_base_rate"], [2 / 3, 1 / 3, np.nan])
    above = [(0.8 - 2 / 3) / (1 / 3), (0.25 - 1 / 3) / (2 / 3), np.nan]
    np.testing.assert_allclose(table["monosemanticity_above_base"], above)
    assert table["specific_tags"].values.tolist() == [0, 0, 0]  # 0.8 of its mass in x is not twice 2/3
    assert table["features_main"].values.tolist() == [1, 1]
    np.testing.assert_allclose(table["median_monosemanticity_above_base"], np.mean(above[:2]))
    assert "median_monosemanticity" not in table  # it would compare dictionaries by tags that many tokens carry
    np.testing.assert_allclose(table["tag_mean_f1_always_active"], (4 / 5 + 1 / 2) / 2)
    assert int(table["tag_scored_features"]) == 2
    few = tag_table(f, ["x", "y"], carried, least=3)
    assert few["main_tag"].values.tolist() == [0, -1, -1]


def test_a_tag_that_most_tokens_carry_is_no_main_tag(tag_table):
    f, carried = by_hand()
    carried[A, :4, 0] = True
    table = tag_table(f, ["x", "y"], carried, least=1)
    assert table["main_tag"].values.tolist() == [-1, 1, -1]


def test_bins_hold_the_active_tokens_of_half_b_and_their_mass(tag_table):
    f, carried = by_hand()
    table = tag_table(f, ["x", "y"], carried, least=1).sel(tag="x")
    bins = {value: int(np.searchsorted(EDGES, value, side="right")) - 1 for value in (1, 2, 3, 4)}
    assert EDGES[bins[2]] == 2
    wanted = np.zeros(128)
    wanted[[bins[1], bins[3], bins[4]]] = 1
    np.testing.assert_array_equal(table["tokens_with"], wanted)
    assert float(table["mass_with"][bins[4]]) == 4
    assert np.flatnonzero(table["tokens_without"]).tolist() == [bins[2]]
    assert (int(table["sampled_with"]), int(table["sampled_without"])) == (4, 2)


FEATURES, SEQUENCES, POSITIONS = 8, 90, 5


def random_case(seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Activations that lean on tags, with ties, negative ones and every number of zeros."""
    random = np.random.default_rng(seed)
    carried = random.random((SEQUENCES, POSITIONS, 5)) < np.array([0.03, 0.1, 0.3, 0.6, 0.2])
    lean = random.normal(0, 1.5, (5, FEATURES))
    f = carried @ lean + random.normal(-0.5, 1, (SEQUENCES, POSITIONS, FEATURES))
    f[..., :3] = np.round(f[..., :3], 1)
    f[..., -1] = 0
    return f, carried, list("abcde")


def slow(f: np.ndarray, carried: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """F1 of every feature, tag and threshold on half A, token by token; and the tokens of half B."""
    half = held_out(np.arange(SEQUENCES))
    f = np.maximum(f, 0).astype(np.float32)
    a, tagged = f[~half].reshape(-1, FEATURES), carried[~half].reshape(-1, 5)
    best = {"feature": np.zeros(5, int), "threshold": np.zeros(5), "f1": np.zeros(5)}
    for tag in range(5):
        for feature in range(FEATURES):
            for level in np.unique(a[:, feature][a[:, feature] > 0])[::-1]:
                hit = a[:, feature] >= level
                f1 = 2 * (hit & tagged[:, tag]).sum() / (hit.sum() + tagged[:, tag].sum())
                if f1 > best["f1"][tag]:
                    best["f1"][tag], best["feature"][tag], best["threshold"][tag] = f1, feature, level
    return best, f[half].reshape(-1, FEATURES), carried[half].reshape(-1, 5)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_scores_are_those_of_a_slow_count_of_all_pairs_whatever_the_blocks(tag_table, block):
    f, carried, names = random_case()
    table = tag_table(f, names, carried, block=block)
    best, b, tagged = slow(f, carried)
    np.testing.assert_array_equal(table["best_feature"], best["feature"])
    np.testing.assert_allclose(table["threshold"], best["threshold"])
    np.testing.assert_allclose(table["f1_choosing"], best["f1"])
    for tag, name in enumerate(names):
        row = table.sel(tag=name)
        x, here = b[:, best["feature"][tag]].astype(float), tagged[:, tag]
        hit = x >= best["threshold"][tag]
        pairs = [(one > other) + 0.5 * (one == other) for one in x[here] for other in x[~here]]
        np.testing.assert_allclose(row["auroc"], np.mean(pairs))
        np.testing.assert_allclose(row["precision"], here[hit].mean())
        np.testing.assert_allclose(row["recall"], hit[here].mean())
        np.testing.assert_allclose(row["true_negative_rate"], (~hit)[~here].mean())
        np.testing.assert_allclose(row["sensitivity"], np.corrcoef(x, here)[0, 1], rtol=1e-5)
        np.testing.assert_allclose(row["mean_with"], x[here].mean(), rtol=1e-5)
        np.testing.assert_allclose(row["mean_without"], x[~here].mean(), rtol=1e-5)
        np.testing.assert_allclose(row["mass_with"].sum() + row["mass_without"].sum(), x.sum(), rtol=1e-5)


def test_main_tags_and_scores_of_features_are_those_of_a_slow_count(tag_table):
    f, carried, names = random_case(1)
    table = tag_table(f, names, carried)
    half = held_out(np.arange(SEQUENCES))
    for feature in range(FEATURES):
        a, b = (np.maximum(f[some][..., feature].reshape(-1), 0) for some in (~half, half))
        tagged_a, tagged_b = (carried[some].reshape(-1, 5) for some in (~half, half))
        row = table.sel(feature=feature)
        if (a > 0).sum() < 10:
            assert int(row["main_tag"]) == -1
            continue
        f1 = [2 * ((a > 0) & one).sum() / ((a > 0).sum() + one.sum()) * (one.mean() <= 0.5) for one in tagged_a.T]
        main = int(np.argmax(f1))
        assert int(row["main_tag"]) == main
        share, base = b[tagged_b[:, main]].sum() / b.sum(), tagged_b[:, main].mean()
        np.testing.assert_allclose(row["monosemanticity"], share, rtol=1e-5)
        np.testing.assert_allclose(row["monosemanticity_above_base"], (share - base) / (1 - base), rtol=1e-4)
        shares = np.array([b[one].sum() / b.sum() for one in tagged_b.T])
        assert int(row["specific_tags"]) == ((shares >= 0.5) & (shares >= 2 * tagged_b.mean(0))).sum()
    assert (table["main_tag"].values >= 0).sum() == FEATURES - 1


def test_a_tag_is_found_from_half_of_f1_on_if_always_being_active_does_worse():
    found = tags.found_tags(np.array([0.5, 0.49, 0.7, 0.55, np.nan]), np.array([0.4, 0.1, 0.7, 0.6, 0.1]))
    assert found.tolist() == [True, False, False, False, False]


def test_features_that_are_active_on_fewer_than_ten_tokens_of_a_half_are_not_scored(tag_table):
    f, carried = np.zeros((2, 30, 3)), np.zeros((2, 30, 1), bool)
    carried[:, :12] = True
    for feature, (in_a, in_b) in enumerate(((10, 10), (9, 10), (10, 9))):
        f[A, :in_a, feature] = f[B, :in_b, feature] = 1
    table = tag_table(f, ["x"], carried)
    assert table["main_tag"].values.tolist() == [0, -1, 0]
    np.testing.assert_allclose(table["monosemanticity"], [1, np.nan, np.nan])
    assert table["specific_tags"].values.tolist() == [1, 1, 0]  # which half B alone decides
    assert table.attrs["least_active_tokens"] == 10


def test_a_feature_is_specific_to_a_tag_with_half_of_its_mass_and_twice_the_share_of_all_tokens(tag_table):
    """x is on a quarter of the tokens, y on three tenths."""
    f, carried = np.zeros((2, 20, 3)), np.zeros((2, 20, 2), bool)
    carried[:, :5, 0] = carried[:, 5:11, 1] = True
    f[:, :5, 0] = f[:, 11:16, 0] = 1  # half in x
    f[:, 5:10, 1] = f[:, 11:16, 1] = 1  # half in y: less than six tenths
    f[:, :5, 2], f[:, 11:16, 2] = 1, 1.1  # less than half in x
    table = tag_table(f, ["x", "y"], carried)
    assert table["specific_tags"].values.tolist() == [1, 0, 0]
    assert table["features_specific"].values.tolist() == [1, 0]
    # (1/2 − 1/4) / (3/4), (1/2 − 3/10) / (7/10) and less: none is monosemantic from a half on
    assert float(table["monosemantic_share"]) == 0
    np.testing.assert_allclose(table["monosemanticity_above_base"][:2], [1 / 3, 2 / 7])
    assert float(table["mean_specific_tags"]) == pytest.approx(1 / 3)


def test_a_feature_is_monosemantic_from_a_half_above_base_on(tag_table):
    f, carried = np.zeros((2, 40, 2)), np.zeros((2, 40, 1), bool)
    carried[:, :20] = True
    f[:, :15, 0] = f[:, 20:25, 0] = 1  # (3/4 − 1/2) / (1/2)
    f[:, :14, 1] = f[:, 20:26, 1] = 1
    table = tag_table(f, ["x"], carried)
    np.testing.assert_allclose(table["monosemanticity_above_base"], [0.5, 0.4])
    assert float(table["monosemantic_share"]) == 0.5


def test_a_feature_with_the_same_activation_on_all_tokens_has_no_correlation_and_no_warning():
    """Its spread is 0 but for rounding, which may be below."""
    mass, square = np.float64(300 * 0.1), np.nextafter(np.float64(300 * 0.01), 0)
    assert square * 300 < mass**2
    scores = tag_counts.Scores(
        300.0, *(np.array([value]) for value in (30.0, 300.0, 30.0, mass, square, 3.0)),
    )  # fmt: skip
    with np.errstate(all="raise"):
        assert np.isnan(scores.correlation).all()


def test_four_features_by_f1_and_four_by_correlation_are_tried_with_thresholds():
    random = np.random.default_rng(0)
    x = (
        np.maximum(random.normal(0, 1, (400, 12)), 0)
        * random.uniform(0.1, 3, 12)
        * (random.random((400, 12)) < random.uniform(0.05, 1, 12))
    )
    tag = (x @ random.normal(0, 1, 12) + random.normal(0, 1, 400)) > 0
    counts = tag_counts.Counts(12, 1)
    counts.tokens[0], counts.tagged[0] = 400, tag.sum()
    counts.active[0], counts.mass[0], counts.square[0] = (x > 0).sum(0), x.sum(0), (x**2).sum(0)
    counts.both[0, :, 0], counts.mass_in[0, :, 0] = (x[tag] > 0).sum(0), x[tag].sum(0)
    f1 = 2 * (x[tag] > 0).sum(0) / ((x > 0).sum(0) + tag.sum())
    correlation = [np.corrcoef(column, tag)[0, 1] for column in x.T]
    tried = set(np.argsort(f1)[-4:].tolist()) | set(np.argsort(correlation)[-4:].tolist())
    assert 4 < len(tried) < 8
    (found,) = candidates(counts, np.array([11]))
    assert found.tolist() == sorted(tried | {11})
    assert candidates(counts, np.array([-1]))[0].tolist() == []


def test_lists_and_matrices_give_the_same_sums(tag_table, monkeypatch):
    f, carried, names = random_case(2)
    monkeypatch.setattr(tag_counts, "DENSE_ABOVE", 0.0)
    dense = tag_table(f, names, carried)
    monkeypatch.setattr(tag_counts, "DENSE_ABOVE", 1.0)
    xr.testing.assert_allclose(tag_table(f, names, carried), dense)


def test_tokens_beyond_the_sample_change_no_count_and_the_sample_does_not_depend_on_the_blocks(tag_table):
    f, carried, names = random_case(3)
    whole = tag_table(f, names, carried)
    some = tag_table(f, names, carried, most=900)
    assert whole.attrs["tokens_sampled"] == SEQUENCES * POSITIONS
    assert 30 < some.attrs["tokens_sampled"] < SEQUENCES * POSITIONS / 2
    for name in ("monosemanticity", "active_f1", "base_rate", "tokens_held_out"):
        np.testing.assert_array_equal(some[name], whole[name])
    xr.testing.assert_equal(tag_table(f, names, carried, most=900, block=7).drop_attrs(), some.drop_attrs())


def test_tokens_without_tags_give_a_table_without_tags(tag_table, tmp_path):
    f, carried, _ = random_case()
    table = tag_table(f, [], carried[..., :0])
    assert table.sizes["tag"] == 0
    assert (table["main_tag"].values == -1).all()
    assert np.isnan(table["monosemanticity"].values).all()
    assert (int(table["tags"]), int(table["tags_found"])) == (0, 0)
    assert np.isnan(table["tag_mean_best_f1"].item())
    write_table(tmp_path / "tags.nc", table)
    assert set(read_table(tmp_path / "tags.nc").data_vars) == set(table.data_vars)


def test_a_tag_without_tokens_and_features_that_are_never_active_are_none(tag_table):
    f, carried = by_hand()
    carried[:, :, 1] = False
    table = tag_table(f, ["x", "y"], carried, least=1)
    assert table["best_feature"].values.tolist() == [0, -1]
    assert np.isnan(table.sel(tag="y")[["f1", "threshold", "auroc", "recall", "mean_with"]].to_array()).all()
    silent = tag_table(0 * f, ["x", "y"], carried, least=1)
    assert silent["best_feature"].values.tolist() == [-1, -1]
    assert np.isnan(silent["f1"].values).all()
    assert silent["base_rate"].values.tolist() == pytest.approx([2 / 3, 0])


def test_an_empty_half_leaves_nan_and_stops_nothing(tag_table, tmp_path):
    f, carried = by_hand()
    no_choosing = tag_table(f[:1], ["x", "y"], carried[:1], least=1)
    assert no_choosing.attrs["tokens_choosing"] == 0
    assert no_choosing["best_feature"].values.tolist() == [-1, -1]
    no_scores = tag_table(f, ["x", "y"], carried, start=A, least=1)
    assert no_scores.attrs["tokens_held_out"] == 0
    assert no_scores["best_feature"].values.tolist() == [0, 1]
    assert np.isnan(no_scores["base_rate"].values).all()
    for table in (no_choosing, no_scores):
        for name in ("f1", "precision", "auroc", "mean_with"):
            assert np.isnan(table[name].values).all(), name
        write_table(tmp_path / "tags.nc", table)


def test_a_feature_that_is_active_in_half_b_alone_is_not_scored(tag_table):
    f, carried = by_hand()
    f[B, :, 2] = 1
    table = tag_table(f, ["x", "y"], carried, least=1)
    assert int(table["active_held_out"][2]) == 6
    assert int(table["main_tag"][2]) == -1
    assert np.isnan(float(table["monosemanticity"][2]))
