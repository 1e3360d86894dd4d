"""Examples by the interval of a feature's activation that they lie in."""

import numpy as np
from jaxtyping import Bool, Float, Int

INTERVALS = 5
"""Intervals of equal width between 0 and the largest activation of a feature."""


def interval_of(
    activation: Float[np.ndarray, " place"], largest: Float[np.ndarray, " place"]
) -> Int[np.ndarray, " place"]:
    """The interval of some activations above 0; an edge belongs to the interval below it."""
    return (np.ceil(activation / largest * INTERVALS).astype(np.int64) - 1).clip(0, INTERVALS - 1)


def first_of_equal(
    sequence: Int[np.ndarray, "chosen example"], position: Int[np.ndarray, "chosen example"]
) -> Bool[np.ndarray, "chosen example"]:
    """Whether an example is the first of its feature at its token: a drawn one may be a top one, too."""
    key = (sequence.astype(np.int64) << 32) + position
    order = np.argsort(key, axis=1, kind="stable")
    ordered = np.take_along_axis(key, order, axis=1)
    first = np.ones(key.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    found = np.empty_like(first)
    np.put_along_axis(found, order, first, axis=1)
    return found
