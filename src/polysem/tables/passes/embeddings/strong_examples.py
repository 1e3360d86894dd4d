"""S3.M2: the first tokens on which each feature is strongly active, in one look at all of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.survey.recording import SecondLook


@dataclass(frozen=True)
class StrongExamples:
    """Tokens in the order of the store; behind a feature's last one −1 and NaN."""

    token: Int[np.ndarray, "feature example"]
    """Number of the token in the store."""
    activation: Float[np.ndarray, "feature example"]

    @property
    def size(self) -> NDArray[np.int64]:
        """Examples of each feature."""
        return np.asarray((self.token >= 0).sum(axis=1))

    def part(self, features: slice | NDArray[np.int64]) -> "StrongExamples":
        """Those of some features."""
        return StrongExamples(self.token[features], self.activation[features])


def strong_thresholds(largest: Float[np.ndarray, " feature"], share: float) -> NDArray[np.float32]:
    """The activation from which on a token is a strong example: a share of the largest; at 0 all above 0 are."""
    return (share * largest.astype(np.float64)).astype(np.float32)


def collect_examples(again: SecondLook, threshold: Float[np.ndarray, " feature"], count: int) -> StrongExamples:
    """The first `count` tokens on which each feature is active with at least its `threshold`.

    Active means above 0, so a threshold of 0 takes every token on which the feature is active. Looks no further than
    until all features have `count`; memory is `count` tokens per feature. Source: document S3, "Feature Clusters".
    """
    features = len(threshold)
    token = np.full((features, count), -1, np.int64)
    activation = np.full((features, count), np.nan, np.float32)
    found = np.zeros(features, np.int64)
    for look in again():
        feature, value = look.entries.feature.numpy(), look.entries.value.numpy()
        hit = np.flatnonzero((value >= threshold[feature]) & (found[feature] < count))
        hit = hit[np.argsort(feature[hit], kind="stable")]
        ascending = feature[hit]
        first = np.flatnonzero(np.diff(ascending, prepend=-1))
        counts = np.diff(first, append=len(hit))
        place = found[ascending] + np.arange(len(hit)) - np.repeat(first, counts)
        kept = place < count
        ascending, place, hit = ascending[kept], place[kept], hit[kept]
        token[ascending, place] = look.entries.row.numpy()[hit] + look.first
        activation[ascending, place] = value[hit]
        found += np.bincount(ascending, minlength=features)
        if found.min(initial=count) >= count:
            break
    return StrongExamples(token, activation)
