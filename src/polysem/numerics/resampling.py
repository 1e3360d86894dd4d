"""How sure a number is: bootstrap intervals over whatever was drawn, sequences, features or tags, and Student's t."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

RESAMPLES = 1000
TOGETHER = 1 << 22
"""Counts of a resample that are held at once: 32 MiB."""
LOW, HIGH = 0.025, 0.975
BOOTSTRAPPED = {
    "low": "lower end of the 95 % bootstrap interval over sequences",
    "high": "upper end of the 95 % bootstrap interval over sequences",
}
CONFIDENCE = 0.95
Numbers = NDArray[np.float64]


def students_interval(values: Numbers) -> tuple[float, float]:
    """Mean of the known values, and half the width of its 95 % interval by Student's t; that is NaN for fewer than two,
    and both are where none is known."""
    known = values[np.isfinite(values)]
    if known.size < 2:
        return (float(known[0]) if known.size else np.nan), np.nan
    factor = float(stdtrit(known.size - 1, (1 + CONFIDENCE) / 2))
    return float(known.mean()), factor * float(known.std(ddof=1)) / known.size**0.5


def interval_of_sums(
    sums: Mapping[str, Numbers],
    statistic: Callable[[dict[str, Numbers]], Numbers],
    seed: int = 0,
    strata: NDArray[np.int64] | None = None,
) -> tuple[float, float]:
    """Ends of the 95 % interval of a statistic of sums over units, for example over sequences.

    `sums` holds a number per unit under each name; resamples draw as many units, with replacement, and `statistic`
    takes the sums over those under the same names, [resample]. With `strata`, a number of each unit, as many as there
    are of each number are drawn among these: none of few units that matter is ever missing. (NaN, NaN) with fewer than
    two units, in any of several strata, too, and where the statistic is not finite in every resample.
    """
    units = len(next(iter(sums.values())))
    parts = [np.arange(units)] if strata is None else [np.flatnonzero(strata == one) for one in np.unique(strata)]
    if not units or min(map(len, parts)) < 2:
        return np.nan, np.nan
    columns = np.stack([np.asarray(values, np.float64) for values in sums.values()], axis=1)
    found: list[Numbers] = []
    for drawn in zip(*(_drawn(len(part), seed + number, units) for number, part in enumerate(parts)), strict=True):
        totals = sum(of @ columns[part] for of, part in zip(drawn, parts, strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(np.asarray(statistic(dict(zip(sums, totals.T, strict=True))), np.float64))
    return _ends(np.concatenate(found))


def interval_of_values(
    values: Numbers, statistic: Callable[..., Any] = np.median, seed: int = 0
) -> tuple[float, float]:
    """Ends of the 95 % interval of a statistic of values, for example the median over features; values that are not
    finite are left out. `statistic` takes `axis`. (NaN, NaN) with fewer than two values."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return np.nan, np.nan
    return _ends(_resampled(known, statistic, np.random.default_rng(seed)))


def interval_of_difference(
    ones: Numbers, others: Numbers, statistic: Callable[..., Any] = np.mean, seed: int = 0
) -> tuple[float, float]:
    """Ends of the 95 % interval of the statistic of `ones` less that of `others`, for example of the means of features
    and of neurons; each is drawn from by itself, and values that are not finite are left out. `statistic` takes `axis`.
    (NaN, NaN) with fewer than two values of either."""
    known = [np.asarray(values, np.float64)[np.isfinite(values)] for values in (ones, others)]
    if min(map(len, known)) < 2:
        return np.nan, np.nan
    one, other = (
        _resampled(values, statistic, np.random.default_rng([seed, number])) for number, values in enumerate(known)
    )
    return _ends(one - other)


def intervals_of_means(values: NDArray[Any], seed: int = 0) -> tuple[Numbers, Numbers]:
    """Ends of the 95 % intervals of means over the last axis, all of the same resamples: two arrays without that axis.
    NaN with fewer than two values; all values must be finite."""
    units = values.shape[-1]
    if units < 2:
        return np.full(values.shape[:-1], np.nan), np.full(values.shape[:-1], np.nan)
    columns = np.asarray(values, np.float64).reshape(-1, units).T
    means = np.concatenate([drawn @ columns / units for drawn in _drawn(units, seed)])
    low, high = np.quantile(means, [LOW, HIGH], axis=0).reshape(2, *values.shape[:-1])
    return low, high


def _resampled(known: Numbers, statistic: Callable[..., Any], generator: np.random.Generator) -> Numbers:
    """The statistic of each resample."""
    step = max(1, TOGETHER // len(known))
    found = [
        statistic(known[generator.integers(len(known), size=(min(step, RESAMPLES - start), len(known)))], axis=1)
        for start in range(0, RESAMPLES, step)
    ]
    return np.asarray(np.concatenate(found))


def intervals_of_ratios(part: NDArray[Any], whole: NDArray[Any], seed: int = 0) -> tuple[Numbers, Numbers]:
    """Ends of the 95 % intervals of ratios of sums over the last axis, all of the same resamples: two arrays without
    that axis. Resamples in which a ratio is 0 / 0 are left out of its interval; NaN with fewer than two units, and
    where no resample is left."""
    shape, units = part.shape[:-1], part.shape[-1]
    if units < 2:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    columns = [np.asarray(values, np.float64).reshape(-1, units).T for values in (part, whole)]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.concatenate([(drawn @ columns[0]) / (drawn @ columns[1]) for drawn in _drawn(units, seed)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(found, [LOW, HIGH], axis=0).reshape(2, *shape)
    return low, high


def _drawn(units: int, seed: int, held: int = 0) -> Iterator[NDArray[np.int64]]:
    """How often each unit is drawn in each resample, [resample, unit], some resamples after the other; so many that
    there is room for `held` units, if these are more."""
    generator = np.random.default_rng(seed)
    step = max(1, TOGETHER // max(units, held))
    for start in range(0, RESAMPLES, step):
        yield generator.multinomial(units, np.full(units, 1 / units), min(step, RESAMPLES - start))


def _ends(found: Numbers) -> tuple[float, float]:
    if not np.isfinite(found).all():
        return np.nan, np.nan
    low, high = np.quantile(found, [LOW, HIGH])
    return float(low), float(high)
