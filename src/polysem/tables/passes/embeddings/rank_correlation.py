"""S3.X1: whether the measure without labels agrees with what else is known of features."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.numerics.ranks import ranks
from polysem.tables.parts.labels import scalar

SHUFFLES = 200
QUANTILE = 0.95


def agreement_scalars(
    distance: Float[np.ndarray, " feature"],
    random_distance: Float[np.ndarray, " feature"],
    against: Mapping[str, tuple[Float[np.ndarray, " feature"], str]],
    seed: int,
) -> dict[str, xr.Variable]:
    """Spearman correlations, over features, of their mean distance with other numbers (name: values, words).

    `agreement_{name}` and, as the mean distance moves with the number of examples, `agreement_{name}_residual` of what
    it exceeds that of as many random tokens by. `…_shuffled` is the 95th percentile of the absolute correlation when
    features are shuffled. NaN for distances of features that do not count; correlations are over features for which
    both numbers are known, and NaN with fewer than three of them.
    """
    variables = {}
    residual = distance - random_distance
    for name, (values, words) in against.items():
        for ending, measured, what in (
            ("", distance, "mean distance"),
            ("_residual", residual, "mean distance minus that of as many random tokens"),
        ):
            found, shuffled = spearman(measured, values, seed)
            label = f"Spearman correlation of {what} and {words}"
            variables[f"agreement_{name}{ending}"] = scalar(found, label, "1")
            variables[f"agreement_{name}{ending}_shuffled"] = scalar(
                shuffled, f"95th percentile of its size over {SHUFFLES} shuffles", "1"
            )
    return variables


def spearman(a: Float[np.ndarray, " feature"], b: Float[np.ndarray, " feature"], seed: int) -> tuple[float, float]:
    """Rank correlation where both are finite, and the 95th percentile of its size over shuffles."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3:
        return np.nan, np.nan
    first, second = _standard(a[known]), _standard(b[known])
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(first)), (SHUFFLES, 1)), axis=1)
    return float(first @ second), float(np.quantile(np.abs(second[order] @ first), QUANTILE))


def _standard(values: NDArray) -> NDArray[np.float64]:
    """Ranks with mean 0 and norm 1; NaN if all are equal."""
    found = ranks(values)
    found -= found.mean()
    norm = np.linalg.norm(found)
    return found / norm if norm else np.full(len(found), np.nan)
