"""S1.F5: means over the steered features, and whether output scores tell which features steer."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.numerics.resampling import HIGH, LOW, RESAMPLES, interval_of_values, intervals_of_means
from polysem.tables.passes.steering.ways import WAYS

FEWEST = 5
"""Features without which there is no rank correlation."""


def means_by_site(
    sites: Sequence[str], names: Sequence[str], numbers: Float[np.ndarray, "steered way dose"], seed: int
) -> tuple[Float[np.ndarray, "site way dose"], Float[np.ndarray, "site way dose"], Float[np.ndarray, "site way dose"]]:
    """Means over the features of each site of `names`, and the ends of their 95 % bootstrap intervals over these; NaN
    where no feature has a number."""
    shape = (len(names), *numbers.shape[1:])
    mean, low, high = (np.full(shape, np.nan) for _ in range(3))
    of_site = np.array(list(sites))
    for place in np.ndindex(*shape):
        values = numbers[of_site == names[place[0]], place[1], place[2]]
        known = values[np.isfinite(values)]
        if len(known):
            mean[place] = known.mean()
            low[place], high[place] = interval_of_values(known, np.mean, seed)
    return mean, low, high


def means_over_texts(
    numbers: Float[np.ndarray, "steered way dose text"], seed: int
) -> tuple[Float[np.ndarray, "steered way dose"], Float[np.ndarray, "steered way dose"], Float[np.ndarray, "..."]]:
    """Means over the texts of each feature, and the ends of their 95 % bootstrap intervals over these; NaN where a text
    has no number."""
    known = np.isfinite(numbers).all(axis=-1)
    mean, low, high = (np.full(known.shape, np.nan) for _ in range(3))
    mean[known] = numbers[known].mean(axis=-1)
    low[known], high[known] = intervals_of_means(numbers[known], seed)
    return mean, low, high


def spearman(one: NDArray[np.float64], other: NDArray[np.float64], seed: int) -> tuple[float, float, float]:
    """Rank correlation of two numbers of features, and the ends of its 95 % bootstrap interval over features; NaN with
    fewer than `FEWEST` that have both. Resamples in which one is constant are left out."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < FEWEST or not np.ptp(one) or not np.ptp(other):
        return np.nan, np.nan, np.nan
    generator = np.random.default_rng(seed)
    found = []
    for drawn in generator.integers(len(one), size=(RESAMPLES, len(one))):
        if np.ptp(one[drawn]) and np.ptp(other[drawn]):
            found.append(_correlation(_ranks(one[drawn]), _ranks(other[drawn])))
    low, high = np.quantile(found, [LOW, HIGH])
    return _correlation(_ranks(one), _ranks(other)), float(low), float(high)


def at_the_maximum(
    share: Float[np.ndarray, "steered way"], loss: Float[np.ndarray, "steered way"]
) -> Mapping[str, float]:
    """The numbers of a model with features at their maximum: means over its features of tag share and of loss by way,
    the latter as a perplexity."""
    found = {}
    for number, way in enumerate(WAYS):
        found[f"steering_tag_share_{way}"] = _mean(share[:, number])
        found[f"steering_perplexity_{way}"] = float(np.exp(_mean(loss[:, number])))
    return found


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks, equal values with the mean of theirs; of few values this is fastest by comparing all with all."""
    smaller, equal = (compared(values, values[:, None]).sum(axis=1) for compared in (np.less, np.equal))
    return np.asarray(smaller + (equal + 1) / 2)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
