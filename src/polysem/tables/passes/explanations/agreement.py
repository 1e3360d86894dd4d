"""Whether scores of explanations agree with what is known of features without them."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.numerics.paired_sums import paired_terms, pearson_of_sums
from polysem.numerics.ranks import ranks
from polysem.numerics.resampling import interval_of_sums
from polysem.tables.parts.labels import ESTIMATES

TRUTHS: Mapping[str, str] = MappingProxyType(
    {"main_tag_f1": "F1 of the main tag", "mean_cosine": "cosine of strong examples"}
)
FEWEST = 10
"""Features below which nothing is said."""


def agreements(
    measures: Float[np.ndarray, "explained measure"],
    truths: Float[np.ndarray, "explained truth"],
    place: Int[np.ndarray, " explained"],
    places: int,
    seed: int,
) -> Float[NDArray, "place measure truth estimate"]:
    """Rank correlations over the features of each place for which both are known, with 95 % bootstrap intervals."""
    found = np.full((places, measures.shape[1], truths.shape[1], len(ESTIMATES)), np.nan)
    for one in range(places):
        mine = place == one
        for measure, truth in np.ndindex(*found.shape[1:3]):
            found[one, measure, truth] = rank_agreement(measures[mine, measure], truths[mine, truth], seed)
    return found


def rank_agreement(
    a: Float[np.ndarray, " feature"], b: Float[np.ndarray, " feature"], seed: int
) -> tuple[float, float, float]:
    """Spearman's correlation where both are known, and the ends of its interval over resampled features, which keep
    their ranks; NaN with fewer than `FEWEST` features, and where all are equal."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < FEWEST or np.ptp(a[known]) == 0 or np.ptp(b[known]) == 0:
        return np.nan, np.nan, np.nan
    x, y = (ranks(of[known]) - (known.sum() + 1) / 2 for of in (a, b))
    interval = interval_of_sums(paired_terms(x, y), pearson_of_sums, seed)
    return float(x @ y / np.sqrt((x @ x) * (y @ y))), *interval
