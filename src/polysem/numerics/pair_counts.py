"""Unigram and bigram counts of a stream of token pairs, and the predictions that they make."""

import numpy as np
from numpy.typing import NDArray

PENDING = 1 << 22
"""Pairs that are held before they are merged into the counts."""
Ids = NDArray[np.int64]


class PairCounts:
    """Counts of (previous, next) pairs over a vocabulary, sparse: memory is bounded by the distinct pairs."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.following = np.zeros(vocabulary, np.int64)
        """How often each token came next."""
        self._keys = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._pending: list[Ids] = []

    def add(self, previous: Ids, following: Ids) -> None:
        """Count some pairs."""
        self.following += np.bincount(following, minlength=self.vocabulary)
        self._pending.append(previous * self.vocabulary + following)
        if sum(map(len, self._pending)) > PENDING:
            self._merge()

    def unigram(self, following: Ids) -> NDArray[np.float64]:
        """P(w) = (c(w) + 1) / (N + V): add-one smoothing, so that no token is impossible."""
        return (self.following[following] + 1) / (self.following.sum() + self.vocabulary)

    def bigram(self, previous: Ids, following: Ids) -> NDArray[np.float64]:
        """Interpolated absolute discounting, P(w | v) = (max(c(vw) − D, 0) + D·T(v)·P(w)) / c(v).

        c(v) is the number of pairs that begin with v, T(v) the number of distinct ones, P(w) the unigram above, and
        P(w) alone where v was never seen. The probabilities of each v add up to 1. D = n1/(n1 + 2·n2) as Ney, Essen and
        Kneser (1994) estimate it, n1 and n2 being the numbers of pairs seen once and twice, kept within 0.1 … 0.9.
        """
        self._merge()
        discount = self.discount
        first = self._keys // self.vocabulary
        total = np.bincount(first, self._counts, self.vocabulary)[previous]
        distinct = np.bincount(first, minlength=self.vocabulary)[previous]
        seen = np.maximum(self._count(previous * self.vocabulary + following) - discount, 0)
        backed = self.unigram(following)
        mixed = (seen + discount * distinct * backed) / np.maximum(total, 1)
        return np.where(total > 0, mixed, backed)

    @property
    def discount(self) -> float:
        """D of the absolute discounting; 0.5 where no pair was seen once or twice."""
        self._merge()
        once, twice = (int((self._counts == times).sum()) for times in (1, 2))
        return float(np.clip(once / (once + 2 * twice), 0.1, 0.9)) if once + twice else 0.5

    def _count(self, keys: Ids) -> Ids:
        place = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        if not len(self._keys):
            return np.zeros(len(keys), np.int64)
        return np.where(self._keys[place] == keys, self._counts[place], 0)

    def _merge(self) -> None:
        if not self._pending:
            return
        new, counts = np.unique(np.concatenate(self._pending), return_counts=True)
        self._pending.clear()
        keys, place = np.unique(np.concatenate([self._keys, new]), return_inverse=True)
        self._counts = np.bincount(place, np.concatenate([self._counts, counts])).astype(np.int64)
        self._keys = keys
