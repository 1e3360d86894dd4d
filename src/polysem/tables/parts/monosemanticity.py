"""S0.X3: are features harder to interpret the more of their power lies in one neuron, or in the most polysemantic one?

Interpretability is what the tags tell of it, `monosemanticity_above_base` of the table `tags`. Every statistic stands
beside its values under shuffles, in which the scores are dealt out to the features at random.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.numerics.ranks import ranks
from polysem.tables.parts.labels import scalar, variable

SHUFFLES = 400
BINS = 10
LEAST_PER_BIN = 5
LEVELS = np.arange(1, 20) / 20
"""Quantiles at which the scores of two groups are told."""
LOW, HIGH = 0.025, 0.975
"""Quantiles of the shuffles between which 95 % of them lie."""

Numbers = NDArray[np.float64]


def alignment_statistics(tags: xr.Dataset, alignment: xr.Dataset, seed: int = 0) -> dict[str, xr.Variable]:
    """Variables to add to the table `tags` of the same dictionary; NaN where there is too little to compare.

    Over `power_bin`, up to ten bins of equally many scored features: `power_bin_power` and `power_bin_score` (medians),
    `power_bin_score_low`, `power_bin_score_high` (quartiles), `power_bin_features`, and `power_bin_shuffled_low`,
    `power_bin_shuffled_high`, between which the bin's median lies in 95 % of the shuffles.
    Over `quantile`, 0.05 … 0.95: `aligned_score` and `other_score`, scores of the features aligned with the most
    polysemantic neuron and of the others; `shuffled_score_low` and `shuffled_score_high`: 95 % of its shuffles.
    Scalars: `score_power_correlation` (Spearman), its 95 % under shuffles and its two-sided p; `aligned_neuron`, the
    neuron that is the strongest of most features, `aligned_features` of them scored, `aligned_median_score`,
    `other_median_score`, `aligned_above_other` (probability that a feature aligned with it has the higher score than
    one that is not, ties counting half: 0.5 if it makes no difference), its 95 % under shuffles and two-sided p.
    Source: document S0, the last of its open questions.
    """
    score = tags["monosemanticity_above_base"].values
    known = np.isfinite(score)
    score, power = score[known], alignment["power_top1"].values[known]
    strongest = alignment["features_strongest"].values
    leader = int(strongest.argmax()) if strongest.max(initial=0) > 1 else -1
    aligned = alignment["strongest_neuron"].values[known] == leader
    generator = np.random.default_rng(seed)
    shuffled = np.stack([generator.permutation(len(score)) for _ in range(SHUFFLES)])
    return (
        _bins(score, power, shuffled) | _correlation(score, power, shuffled) | _groups(score, aligned, shuffled, leader)
    )


def _bins(score: Numbers, power: Numbers, shuffled: NDArray[np.int64]) -> dict[str, xr.Variable]:
    count = min(BINS, len(score) // LEAST_PER_BIN)
    members = np.array_split(np.argsort(power, kind="stable"), count) if count else []
    rows = []
    for some in members:
        low, middle, high = np.quantile(score[some], [0.25, 0.5, 0.75])
        chance = np.quantile(np.median(score[shuffled[:, some]], axis=1), [LOW, HIGH])
        rows.append((np.median(power[some]), middle, low, high, *chance))
    columns = np.array(rows).reshape(-1, 6).T
    words = {
        "power_bin_power": "median share of squared decoder weight in the strongest neuron",
        "power_bin_score": "median monosemanticity above base",
        "power_bin_score_low": "lower quartile of monosemanticity above base",
        "power_bin_score_high": "upper quartile of monosemanticity above base",
        "power_bin_shuffled_low": "2.5 % quantile of the median under shuffles",
        "power_bin_shuffled_high": "97.5 % quantile of the median under shuffles",
    }
    found = {
        name: variable("power_bin", values, long_name, "1")
        for (name, long_name), values in zip(words.items(), columns, strict=True)
    }
    sizes = np.array([len(some) for some in members], np.int64)
    return found | {"power_bin_features": variable("power_bin", sizes, "features of the bin", "feature")}


def _correlation(score: Numbers, power: Numbers, shuffled: NDArray[np.int64]) -> dict[str, xr.Variable]:
    found, chance = np.nan, np.full(len(shuffled), np.nan)
    # Powers that agree to float32 rounding, as those of neurons do, have no order.
    if len(score) > 2 and np.ptp(score) > 0 and np.ptp(power) > 1e-6:
        one, other = (rank - rank.mean() for rank in (ranks(score), ranks(power)))
        norm = np.sqrt((one @ one) * (other @ other))
        found, chance = one @ other / norm, one[shuffled] @ other / norm
    return _tested("score_power_correlation", "Spearman correlation of score and power in the strongest neuron",
                   float(found), chance, 0.0)  # fmt: skip


def _groups(
    score: Numbers, aligned: NDArray[np.bool_], shuffled: NDArray[np.int64], leader: int
) -> dict[str, xr.Variable]:
    one, other = int(aligned.sum()), int((~aligned).sum())
    found, chance, levels = np.nan, np.full(len(shuffled), np.nan), np.full((4, len(LEVELS)), np.nan)
    if one and other:
        rank = ranks(score)
        sums = np.array([rank[aligned].sum(), *(rank[order[aligned]].sum() for order in shuffled)])
        above = (sums - one * (one + 1) / 2) / (one * other)
        found, chance = above[0], above[1:]
        drawn = np.quantile(score[shuffled[:, aligned]], LEVELS, axis=1)
        levels = np.stack(
            [np.quantile(score[aligned], LEVELS), np.quantile(score[~aligned], LEVELS)]
            + [np.quantile(drawn, level, axis=1) for level in (LOW, HIGH)]
        )
    middle = len(LEVELS) // 2
    names = {
        "aligned_score": "score of features aligned with the most polysemantic neuron",
        "other_score": "score of the other features",
        "shuffled_score_low": "2.5 % quantile of the first under shuffles",
        "shuffled_score_high": "97.5 % quantile of the first under shuffles",
    }
    words = "probability that a feature aligned with the most polysemantic neuron has a higher score than another"
    return {
        "aligned_neuron": scalar(leader, "neuron that is the strongest of most features, -1: none has two", "neuron"),
        "aligned_features": scalar(one, "scored features whose strongest neuron it is", "feature"),
        "aligned_median_score": scalar(float(levels[0, middle]), "median monosemanticity above base of these", "1"),
        "other_median_score": scalar(float(levels[1, middle]), "median monosemanticity above base of the others", "1"),
        **_tested("aligned_above_other", words, float(found), chance, 0.5),
        **{
            name: variable("quantile", values, long_name, "1")
            for (name, long_name), values in zip(names.items(), levels, strict=True)
        },
        "quantile": variable("quantile", LEVELS, "share of features below", "1"),
    }


def _tested(name: str, words: str, found: float, chance: Numbers, centre: float) -> dict[str, xr.Variable]:
    """A statistic, the range that holds 95 % of the shuffled ones, and the share of those as far from `centre`."""
    known = np.isfinite(found)
    low, high = np.quantile(chance, [LOW, HIGH]) if known else (np.nan, np.nan)
    # A hair of slack: shuffles that tie with what was found must count, whatever the rounding.
    far = np.abs(chance - centre) >= abs(found - centre) - 1e-12
    p = (1 + int(far.sum())) / (1 + len(chance)) if known else np.nan
    return {
        name: scalar(found, words, "1"),
        f"{name}_shuffled_low": scalar(float(low), f"2.5 % quantile under {len(chance)} shuffles: {words}", "1"),
        f"{name}_shuffled_high": scalar(float(high), f"97.5 % quantile under {len(chance)} shuffles: {words}", "1"),
        f"{name}_p": scalar(p, f"two-sided p under {len(chance)} shuffles: {words}", "1"),
    }
