"""The largest clusters of each feature, and the examples that stand for them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

CLUSTERS = 6
"""Clusters of a feature that are shown."""
MEMBERS = 3
"""Examples of each."""
OUTSIDE = np.iinfo(np.int16).max


@dataclass(frozen=True)
class FirstClusters:
    """The first `CLUSTERS` clusters; −1 where there is no such cluster or member, and their size is 0."""

    size: Int[np.ndarray, "feature cluster"]
    example: Int[np.ndarray, "feature cluster member"]
    """Places of examples: first the central one, then the earliest others."""


def first_clusters(
    distances: Float[np.ndarray, "feature example example"], cluster: Int[np.ndarray, "feature example"]
) -> FirstClusters:
    """The clusters 0, 1, … of each feature. The central example is the one with the least mean distance to the others
    of its cluster, the earlier one among equals."""
    features, width = cluster.shape
    same = (cluster[:, :, None] == cluster[:, None, :]) & (cluster >= 0)[:, :, None]
    apart = np.where(same, distances, 0).sum(axis=2)
    size = np.zeros((features, CLUSTERS), np.int32)
    example = np.full((features, CLUSTERS, MEMBERS), -1, np.int16)
    every, kept = np.arange(features), min(MEMBERS, width)
    for number in range(CLUSTERS if width else 0):
        inside = cluster == number
        size[:, number] = inside.sum(axis=1)
        order = np.where(inside, np.arange(width, dtype=np.int16), OUTSIDE)
        central = np.where(inside, apart, np.inf).argmin(axis=1)
        order[every, central] = np.where(size[:, number] > 0, -1, OUTSIDE)
        chosen = np.argsort(order, axis=1, kind="stable")[:, :kept]
        present = np.arange(kept) < size[:, number, None]
        example[:, number, :kept] = np.where(present, chosen, -1)
    return FirstClusters(size, example)


def rare_secondary(
    size: Int[np.ndarray, " feature"], largest: Int[np.ndarray, " feature"]
) -> Int[np.ndarray, " feature"]:
    """Features with a common and a rare behaviour (S3.F3): of at least 20 examples, 90 % or more are in the largest
    cluster, but not all."""
    return (size >= 20) & (largest >= 0.9 * size) & (largest < size)
