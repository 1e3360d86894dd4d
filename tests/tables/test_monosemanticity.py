"""Scores against alignment with neurons, with shuffles for comparison."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from polysem.tables.of_dictionary.alignment import identity_blocks, neuron_alignment
from polysem.tables.parts.monosemanticity import alignment_statistics

NEURONS = 30


def alignment_of(power: np.ndarray, strongest: np.ndarray) -> xr.Dataset:
    """Decoders with that share of their squared weight in that neuron and the rest spread evenly."""
    rows = np.repeat(np.sqrt((1 - power) / (NEURONS - 1))[:, None], NEURONS, 1)
    rows[np.arange(len(power)), strongest] = np.sqrt(power)
    return neuron_alignment(iter([rows.astype(np.float32)]), NEURONS)


def tags_of(score: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"monosemanticity_above_base": ("feature", score)})


def numbers(found: dict[str, xr.Variable]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if not value.ndim}


@pytest.fixture
def case() -> tuple[np.ndarray, xr.Dataset]:
    """Scores that grow with the power, save for noise; of neuron 7 the scores are low, and some are unknown."""
    random = np.random.default_rng(0)
    power, strongest = random.uniform(0.1, 0.9, 200), random.integers(NEURONS, size=200)
    strongest[:40] = 7
    score = 0.5 * power + random.normal(0, 0.1, 200) - 0.3 * (strongest == 7)
    score[random.random(200) < 0.1] = np.nan
    return score, alignment_of(power, strongest)


def test_statistics_are_those_of_the_scored_features(case):
    score, alignment = case
    found = numbers(alignment_statistics(tags_of(score), alignment))
    known = np.isfinite(score)
    wanted = spearmanr(score[known], alignment["power_top1"].values[known]).statistic
    assert found["score_power_correlation"] == pytest.approx(wanted)
    aligned = known & (alignment["strongest_neuron"].values == 7)
    one, other = score[aligned], score[known & ~aligned]
    assert (found["aligned_neuron"], found["aligned_features"]) == (7, len(one))
    above = np.mean([(x > y) + 0.5 * (x == y) for x in one for y in other])
    assert found["aligned_above_other"] == pytest.approx(above)
    assert found["aligned_median_score"] == pytest.approx(np.median(one))
    assert found["other_median_score"] == pytest.approx(np.median(other))
    for name in ("score_power_correlation", "aligned_above_other"):
        assert found[f"{name}_p"] == pytest.approx(1 / 401)
        assert not found[f"{name}_shuffled_low"] < found[name] < found[f"{name}_shuffled_high"]


def test_bins_have_equally_many_features_and_their_own_quartiles(case):
    score, alignment = case
    found = alignment_statistics(tags_of(score), alignment)
    known = np.isfinite(score)
    order = np.flatnonzero(known)[np.argsort(alignment["power_top1"].values[known])]
    members = np.array_split(order, 10)
    assert found["power_bin_features"].values.tolist() == [len(some) for some in members]
    for name, level in (("score_low", 0.25), ("score", 0.5), ("score_high", 0.75)):
        np.testing.assert_allclose(found[f"power_bin_{name}"].values, [np.quantile(score[s], level) for s in members])
    np.testing.assert_allclose(
        found["power_bin_power"].values, [np.median(alignment["power_top1"].values[some]) for some in members]
    )
    assert found["power_bin_score"].values[-1] > found["power_bin_shuffled_high"].values[-1]


def test_ranges_and_p_are_those_of_400_shuffles_of_the_scores(case):
    """One shuffle after the other, with scipy's correlation and all pairs of features."""
    score, alignment = case
    found = alignment_statistics(tags_of(score), alignment, seed=4)
    known = np.isfinite(score)
    power, strongest = (alignment[name].values[known] for name in ("power_top1", "strongest_neuron"))
    score, aligned, bins = score[known], strongest == 7, np.array_split(np.argsort(power, kind="stable"), 10)
    generator = np.random.default_rng(4)
    correlation, above, medians, groups = [], [], [], []
    for _ in range(400):
        dealt = score[generator.permutation(len(score))]
        correlation.append(spearmanr(dealt, power).statistic)
        above.append(np.mean(dealt[aligned][:, None] > dealt[~aligned]))
        medians.append([np.median(dealt[some]) for some in bins])
        groups.append(np.quantile(dealt[aligned], np.linspace(0.05, 0.95, 19)))
    for name, values, centre in (("score_power_correlation", correlation, 0), ("aligned_above_other", above, 0.5)):
        assert float(found[f"{name}_shuffled_low"]) == pytest.approx(np.quantile(values, 0.025))
        assert float(found[f"{name}_shuffled_high"]) == pytest.approx(np.quantile(values, 0.975))
        as_far = sum(abs(value - centre) >= abs(float(found[name]) - centre) for value in values)
        assert float(found[f"{name}_p"]) == pytest.approx((1 + as_far) / 401)
    for name, values in (("power_bin_shuffled", medians), ("shuffled_score", groups)):
        np.testing.assert_allclose(found[f"{name}_low"], np.quantile(values, 0.025, axis=0))
        np.testing.assert_allclose(found[f"{name}_high"], np.quantile(values, 0.975, axis=0))
    for name, some in (("aligned_score", aligned), ("other_score", ~aligned)):
        np.testing.assert_allclose(found[name], np.quantile(score[some], np.linspace(0.05, 0.95, 19)))
    np.testing.assert_allclose(found["quantile"], np.linspace(0.05, 0.95, 19))


@pytest.mark.parametrize(("scored", "bins"), [(4, 0), (5, 1), (14, 2), (49, 9), (70, 10)])
def test_there_are_at_most_ten_bins_of_at_least_five_features(scored, bins):
    random = np.random.default_rng(1)
    alignment = alignment_of(random.uniform(0.1, 0.9, scored), random.integers(NEURONS, size=scored))
    found = alignment_statistics(tags_of(random.random(scored)), alignment)
    assert found["power_bin_features"].sizes["power_bin"] == bins
    assert found["power_bin_features"].values.sum() == (scored if bins else 0)


def test_p_is_between_where_shuffles_are_as_far_now_and_then():
    """Of 24 orders of four scores two are as far as one that follows the power, eight as one that splits them."""
    alignment = alignment_of(np.array([0.2, 0.4, 0.6, 0.8]), np.array([7, 7, 3, 2]))
    found = numbers(alignment_statistics(tags_of(np.array([0.1, 0.2, 0.3, 0.4])), alignment))
    assert found["score_power_correlation"] == pytest.approx(1)
    assert 0.03 < found["score_power_correlation_p"] < 0.15  # 2 of 24 orders
    assert found["aligned_above_other"] == 0
    assert 0.25 < found["aligned_above_other_p"] < 0.42  # 8 of 24


def test_fewer_than_three_features_have_no_correlation():
    alignment = alignment_of(np.array([0.2, 0.4]), np.array([7, 7]))
    assert np.isnan(numbers(alignment_statistics(tags_of(np.array([0.1, 0.2])), alignment))["score_power_correlation"])


def test_scores_without_any_relation_lie_within_their_shuffles(case):
    _, alignment = case
    outside = 0
    for seed in range(20):
        score = np.random.default_rng(100 + seed).random(200)
        found = numbers(alignment_statistics(tags_of(score), alignment, seed))
        for name in ("score_power_correlation", "aligned_above_other"):
            outside += not found[f"{name}_shuffled_low"] <= found[name] <= found[f"{name}_shuffled_high"]
    assert outside <= 8  # 2 of 40 are expected


def test_scores_that_are_all_equal_have_no_correlation_and_no_difference(case):
    _, alignment = case
    found = numbers(alignment_statistics(tags_of(np.full(200, 0.5)), alignment))
    assert np.isnan(found["score_power_correlation"])
    assert (found["aligned_above_other"], found["aligned_above_other_p"]) == (0.5, 1)


@pytest.mark.parametrize("score", [np.full(NEURONS, np.nan), np.linspace(0, 1, NEURONS)])
def test_neurons_are_all_alike_and_none_leads(score):
    found = alignment_statistics(tags_of(score), neuron_alignment(identity_blocks(NEURONS), NEURONS))
    values = numbers(found)
    assert (values["aligned_neuron"], values["aligned_features"]) == (-1, 0)
    assert np.isnan(values["score_power_correlation"])
    assert np.isnan(values["aligned_above_other_p"])
    assert np.isnan(found["aligned_score"].values).all()


def test_the_same_seed_gives_the_same_shuffles(case):
    score, alignment = case
    one, other, third = (alignment_statistics(tags_of(score), alignment, seed) for seed in (5, 5, 6))
    assert all(value.equals(other[name]) for name, value in one.items())
    assert not one["power_bin_shuffled_low"].equals(third["power_bin_shuffled_low"])


def test_powers_that_differ_in_their_sixth_digit_have_a_correlation_and_equal_ones_have_none():
    score = tags_of(np.array([0.1, 0.2, 0.3, 0.4]))
    near, equal = (alignment_of(0.5 + step * np.arange(4), np.array([7, 7, 3, 2])) for step in (1e-6, 1e-8))
    assert numbers(alignment_statistics(score, near))["score_power_correlation"] == pytest.approx(1)
    assert np.isnan(numbers(alignment_statistics(score, equal))["score_power_correlation"])
