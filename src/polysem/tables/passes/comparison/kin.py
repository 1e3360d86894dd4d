"""Twins, their families, and what two of them have in common beside their correlation."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.numerics.families import families
from polysem.tables.passes.comparison.correlated_pairs import Pairs

TOGETHER = 1 << 14
"""Pairs whose top contexts are compared at once."""


@dataclass(frozen=True)
class Kin:
    """Twins, and the families that they form."""

    features: Int[NDArray, " twin"]
    """Features that have a twin, in ascending order."""
    first: Int[NDArray, " pair"]
    """The places of the twins of each pair among `features`."""
    second: Int[NDArray, " pair"]
    correlation: Float[NDArray, " pair"]
    family: Int[NDArray, " twin"]
    """The family of each; −1 for one in none."""

    @classmethod
    def of(cls, pairs: Pairs) -> "Kin":
        """Those of some pairs."""
        features = np.unique(np.concatenate([pairs.first, pairs.second]))
        first, second = np.searchsorted(features, pairs.first), np.searchsorted(features, pairs.second)
        family = families(first, second, pairs.correlation, len(features))
        return cls(features, first, second, pairs.correlation, family)

    @property
    def size(self) -> Int[NDArray, " family"]:
        """Members of each family."""
        return np.bincount(self.family[self.family >= 0], minlength=self.family.max(initial=-1) + 1)

    @property
    def members(self) -> Int[NDArray, " member"]:
        """The features of the families, one family behind the other."""
        order = np.argsort(self.family, kind="stable")
        return self.features[order[np.count_nonzero(self.family < 0) :]]


def shared_contexts(
    contexts: Int[NDArray, "twin top"], first: Int[NDArray, " pair"], second: Int[NDArray, " pair"]
) -> Float[NDArray, " pair"]:
    """How many of their top contexts the twins of each pair share, of those of the twin that has more; −1 is none."""
    shared = np.zeros(len(first), np.int64)
    for start in range(0, len(first), TOGETHER):
        ours, theirs = (contexts[some[start : start + TOGETHER]] for some in (first, second))
        same = (ours[:, :, None] == theirs[:, None, :]) & (ours >= 0)[:, :, None]
        shared[start : start + TOGETHER] = same.sum(axis=(1, 2))
    count = (contexts >= 0).sum(axis=1)
    return shared / np.maximum(count[first], count[second])


def cosines(
    rows: Float[NDArray, "twin d_model"] | None, first: Int[NDArray, " pair"], second: Int[NDArray, " pair"]
) -> Float[NDArray, " pair"]:
    """The cosine of the rows of each pair; NaN where one is not known, or 0."""
    found = np.full(len(first), np.nan)
    if rows is None:
        return found
    rows = rows.astype(np.float64)
    norm = np.linalg.norm(rows, axis=1)
    size = norm[first] * norm[second]
    return np.divide(np.einsum("ps,ps->p", rows[first], rows[second]), size, out=found, where=size > 0)
