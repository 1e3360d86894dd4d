"""S4.X3: of examples in their order, those that differ from all that were kept before."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt64
from numpy.typing import NDArray

NONE = -1


@dataclass(frozen=True)
class Kept:
    """Which examples of each feature are kept, and which of them stands for each of the others."""

    kept: Int[np.ndarray, "feature kept"]
    """Places of the kept ones, in the order of the examples; −1 behind the last."""
    stands_for: Int[np.ndarray, "feature example"]
    """Of each example the kept one that stands for it, by its number among the kept; −1: none."""


def first_equal(key: UInt64[np.ndarray, "feature example"], size: Int[np.ndarray, " feature"]) -> NDArray[np.int64]:
    """Of each of the first `size` examples of a feature, the place of the first one with the same key; −1 behind the
    last."""
    features, width = key.shape
    valid = np.arange(width) < size[:, None]
    order = np.argsort(np.where(valid, key, ~np.uint64(0)), axis=1, kind="stable")
    ordered = np.take_along_axis(key, order, axis=1)
    begins = np.ones((features, width), bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    begins |= ~np.take_along_axis(valid, order, axis=1)
    start = np.maximum.accumulate(np.where(begins, np.arange(width), 0), axis=1)
    first = np.empty((features, width), np.int64)
    np.put_along_axis(first, order, np.take_along_axis(order, start, axis=1), axis=1)
    return np.where(valid, first, NONE)


def keep_different(
    distances: Float[np.ndarray, "feature example example"],
    size: Int[np.ndarray, " feature"],
    apart: float,
    count: int,
) -> Kept:
    """Keep up to `count` of the first `size` examples of each feature: each that lies further than `apart` from all
    that were kept before it.

    The others are stood for by the nearest kept one, the earlier among equals, if it is not further away than that. A
    distance that is not a number is a large one: nothing stands for what has no direction.
    """
    features, width, _ = distances.shape
    rows = np.arange(features)
    kept = np.full((features, count), NONE, np.int64)
    stands_for = np.full((features, width), NONE, np.int64)
    nearest = np.full((features, width), np.inf, np.float32)
    valid = np.arange(width) < size[:, None]
    for number in range(count):
        free = valid & (stands_for == NONE)
        has_one = free.any(axis=1)
        if not has_one.any():
            break
        place = np.where(has_one, free.argmax(axis=1), 0)
        kept[has_one, number] = place[has_one]
        distance = np.where(np.isnan(distances[rows, place]), np.inf, distances[rows, place])
        distance[rows, place] = -1.0  # it stands for itself, whoever is near
        nearer = valid & has_one[:, None] & (distance <= apart) & (distance < nearest)
        stands_for[nearer], nearest[nearer] = number, distance[nearer]
    return Kept(kept, stands_for)
