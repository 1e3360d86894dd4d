"""How far several raters agree about the same items."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from polysem.numerics.resampling import interval_of_sums


def krippendorff_alpha(ratings: Float[np.ndarray, "rater item"], seed: int = 0) -> tuple[float, float, float]:
    """Krippendorff's alpha for interval data, and the ends of its 95 % bootstrap interval over items.

    1 − D_o/D_e: D_o is the mean squared difference of two ratings of one item, D_e that of two ratings of any items. 1
    is perfect agreement, 0 what chance gives, and it may be lower. Items with fewer than two ratings (NaN for none) do
    not count. (NaN, NaN, NaN) where no item has two, and where all ratings are equal: then nothing could differ.
    Source: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability".
    """
    given = np.isfinite(ratings)
    count = given.sum(axis=0)
    values = np.where(given, ratings, 0.0).astype(np.float64)[:, count >= 2]
    count = count[count >= 2].astype(np.float64)
    if not len(count):
        return np.nan, np.nan, np.nan
    middle = values.sum() / count.sum()
    values = np.where(given[:, given.sum(axis=0) >= 2], values - middle, 0.0)
    total, squares = values.sum(axis=0), (values**2).sum(axis=0)
    within = 2 * (count * squares - total**2) / (count - 1)
    sums = {"count": count, "total": total, "squares": squares, "within": within}
    alpha = float(_alpha({name: np.array([of.sum()]) for name, of in sums.items()})[0])
    if not np.isfinite(alpha):
        return np.nan, np.nan, np.nan
    return alpha, *interval_of_sums(sums, _alpha, seed)


def _alpha(sums: Mapping[str, Float[np.ndarray, " resample"]]) -> Float[np.ndarray, " resample"]:
    """Of sums over items: the number of ratings, their sum, that of their squares, and that of squared differences of
    two ratings of one item, by one less than the number of its ratings."""
    count, total, squares = sums["count"], sums["total"], sums["squares"]
    observed = sums["within"] / count
    expected = 2 * (count * squares - total**2) / (count * (count - 1))
    differs = expected > 1e-12 * np.maximum(squares, 1)
    return np.where(differs, 1 - np.divide(observed, np.where(differs, expected, 1.0)), np.nan)
