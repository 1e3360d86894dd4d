"""The effects of ablations, by feature, by interval of its activation and by dictionary."""

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from polysem.numerics.resampling import interval_of_values, intervals_of_ratios
from polysem.tables.parts.intervals import INTERVALS
from polysem.tables.passes.ablation.measured import Effects
from polysem.tables.passes.ablation.spots import Spots

ABOVE = 0.95
"""Share of the random directions that counts as most of them."""
QUARTILES = (0.5, 0.25, 0.75)
MEDIANS = (
    "kl", "later_kl", "target_change", "random_ratio", "weight_correlation", "direct_share", "concentration",
    "consistency",
)  # fmt: skip
Numbers = dict[str, Float[np.ndarray, "..."]]


def of_features(spots: Spots, effects: Effects, seed: int) -> Numbers:
    """Numbers of each feature: means by interval, and means over the tokens on which it is active, for which intervals
    count by their share of these tokens, as far as there is a token of theirs. Ends of 95 % intervals are of
    resampled tokens (`…_low`, `…_high`)."""
    found: Numbers = {}
    for name in ("kl", "later_kl", "target_change"):
        values = getattr(effects, name)
        by_interval = _by_interval(values, spots)
        found[f"interval_{name}"] = by_interval
        weight = np.where(np.isfinite(by_interval), spots.share, 0)
        found[name] = _ratio((weight * np.nan_to_num(by_interval)).sum(axis=1), weight.sum(axis=1))
        each = _weights(values, spots)
        found |= _ends(name, each * np.nan_to_num(values), each, seed)
    draws = effects.random_kl.shape[1]
    spot = np.arange(draws) % np.maximum(spots.known.sum(axis=1), 1)[:, None]
    interval = np.take_along_axis(spots.interval, spot, axis=1)
    found["interval_random_kl"] = _means(effects.random_kl, interval)
    measured = np.isfinite(effects.random_kl)
    smaller = (effects.random_kl < effects.paired_kl) & measured
    found["random_smaller"] = _ratio(smaller.sum(axis=1), measured.sum(axis=1))
    found |= _ends("random_smaller", _by_spot(smaller, spot, spots), _by_spot(measured, spot, spots), seed)
    found["random_ratio"] = _ratio(*(np.nansum(of, axis=1) for of in (effects.paired_kl, effects.random_kl)))
    for name in ("weight_correlation", "direct_share", "concentration", "consistency"):
        found[name] = getattr(effects, name)
    return found


def _weights(values: Float[np.ndarray, "chosen spot"], spots: Spots) -> Float[np.ndarray, "chosen spot"]:
    """What a token counts in a mean over all on which the feature is active: the share of its interval, divided by how
    many of the interval's tokens have a value; 0 for one without."""
    weight = np.zeros(values.shape)
    for number in range(INTERVALS):
        mine = (spots.interval == number) & np.isfinite(values)
        weight += np.where(mine, _ratio(spots.share[:, number], mine.sum(axis=1))[:, None], 0)
    return weight


def _by_spot(
    values: Float[np.ndarray, "chosen draw"], spot: Int[np.ndarray, "chosen draw"], spots: Spots
) -> Float[np.ndarray, "chosen spot"]:
    """Sums of what belongs to each token."""
    sums = np.zeros(spots.interval.shape)
    np.add.at(sums, (np.arange(len(values))[:, None], spot), values)
    return sums


def _ends(
    name: str, part: Float[np.ndarray, "chosen spot"], whole: Float[np.ndarray, "chosen spot"], seed: int
) -> Numbers:
    return dict(zip((f"{name}_low", f"{name}_high"), intervals_of_ratios(part, whole, seed), strict=True))


def of_dictionary(found: Numbers, seed: int) -> Numbers:
    """Numbers of a dictionary out of those of its features."""
    numbers: Numbers = {"measured_features": np.array(np.isfinite(found["kl"]).sum())}
    for name in MEDIANS:
        numbers[f"median_{name}"] = _with_interval(found[name], np.median, seed)
    smaller = found["random_smaller"]
    above = np.where(np.isfinite(smaller), smaller >= ABOVE, np.nan)
    numbers["above_random_share"] = _with_interval(above, np.mean, seed)
    for name in ("kl", "random_kl"):
        numbers[f"interval_quartiles_{name}"] = _quartiles(found[f"interval_{name}"])
    numbers["interval_features"] = np.isfinite(found["interval_kl"]).sum(axis=0)
    return numbers


def _by_interval(values: Float[np.ndarray, "chosen spot"], spots: Spots) -> Float[np.ndarray, "chosen interval"]:
    return _means(values, spots.interval)


def _means(
    values: Float[np.ndarray, "chosen column"], interval: Float[np.ndarray, "chosen column"]
) -> Float[np.ndarray, "chosen interval"]:
    """Means of the known values of each interval; NaN where there are none."""
    found = np.empty((len(values), INTERVALS))
    for number in range(INTERVALS):
        mine = (interval == number) & np.isfinite(values)
        found[:, number] = _ratio(np.where(mine, values, 0).sum(axis=1), mine.sum(axis=1))
    return found


def _quartiles(values: Float[np.ndarray, "chosen interval"]) -> Float[np.ndarray, "interval quartile"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an interval without a feature has none
        return np.nanquantile(values, QUARTILES, axis=0).T


def _with_interval(
    values: Float[np.ndarray, " chosen"], statistic: Callable[..., float], seed: int
) -> Float[np.ndarray, " estimate"]:
    known = values[np.isfinite(values)]
    middle = float(statistic(known)) if len(known) else np.nan
    return np.array([middle, *interval_of_values(known, statistic, seed)])


def _ratio(part: Float[np.ndarray, " row"], whole: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
