"""Pairs and families of features by how far they reach, and by whether neurons are among them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.layout.place import Place
from polysem.params.base import NEURONS

SPANS = ("one dictionary", "one site", "one layer", "several layers")
"""What members have in common: their dictionary; their site; their layer; or not even that."""
KINDS = ("features", "features and neurons", "neurons")
MOST = 4
"""Families of so many members and more are counted together."""

Counts = Int[NDArray, "span kind"]


class Reach:
    """Sorts groups of features by the places that they are of."""

    def __init__(self, places: Sequence[Place]) -> None:
        """`places` are those of the dictionaries, by number."""
        sites = [place.site for place in places]
        site = [sites.index(name) for name in sites]
        self._levels = np.array([range(len(places)), site, [place.layer for place in places]])
        self._neurons = np.array([place.dictionary == NEURONS for place in places])

    def sorted(
        self, place: Int[NDArray, " member"], size: Int[NDArray, " group"]
    ) -> tuple[Int[NDArray, " group"], Int[NDArray, " group"]]:
        """The places among `SPANS` and `KINDS` of groups, whose members' places stand one group behind the other."""
        start = np.cumsum(size) - size
        span = np.zeros(len(size), np.int64)
        for level in self._levels:
            span += np.minimum.reduceat(level[place], start) != np.maximum.reduceat(level[place], start)
        neurons = np.add.reduceat(self._neurons[place].astype(np.int64), start)
        return span, np.where(neurons == 0, 0, np.where(neurons == size, 2, 1))

    def counts(self, place: Int[NDArray, "group member"], weight: Int[NDArray, " group"] | None = None) -> Counts:
        """How many groups of each span and kind there are, or the sum of their weights."""
        weight = np.ones(len(place), np.int64) if weight is None else weight
        span, kind = self.sorted(place.ravel(), np.full(len(place), place.shape[1]))
        found = np.zeros((len(SPANS), len(KINDS)), np.int64)
        np.add.at(found, (span, kind), weight)
        return found

    def possible(self, features: Int[NDArray, " place"]) -> Counts:
        """How many pairs there can be of so many features of each place."""
        own = np.repeat(np.arange(len(features)), 2).reshape(-1, 2)
        one, other = np.triu_indices(len(features), 1)
        within, between = features * (features - 1) // 2, features[one] * features[other]
        return self.counts(own, within) + self.counts(np.stack([one, other], axis=1), between)

    def by_size(self, place: Int[NDArray, " member"], size: Int[NDArray, " family"]) -> Int[NDArray, "span kind size"]:
        """How many families of each span and kind have two members, three, or more."""
        found = np.zeros((len(SPANS), len(KINDS), MOST - 1), np.int64)
        np.add.at(found, (*self.sorted(place, size), size.clip(max=MOST) - 2), 1)
        return found
