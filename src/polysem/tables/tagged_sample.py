"""Active entries of a bounded number of tokens, for what sums cannot tell: ranks and distributions."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polysem.tables.ranks import ranks
from polysem.tables.token_tags import place_of

MOST = 1 << 24
"""Tokens and entries that are kept at once, about 200 MB."""


@dataclass(frozen=True)
class Entries:
    """Tokens by their sequence, with tags packed eight to a byte, and their active entries."""

    sequence: NDArray[np.int64]
    tags: NDArray[np.uint8]
    row: NDArray[np.int32]
    feature: NDArray[np.int32]
    value: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Tokens and entries."""
        return len(self.sequence) + len(self.row)

    def of(self, tokens: NDArray[np.bool_]) -> "Entries":
        """Some of the tokens, with their entries."""
        number = np.cumsum(tokens, dtype=np.int32) - 1
        kept = tokens[self.row]
        return Entries(
            self.sequence[tokens], self.tags[tokens], number[self.row[kept]], self.feature[kept], self.value[kept]
        )


class Sample:
    """All tokens that were added, or, beyond `most` tokens and entries, those of a half, a quarter … of the sequences,
    chosen by a hash of the sequence: the same ones whatever the order and the blocks in which they came."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._parts: list[Entries] = []
        self._shift = 0

    @property
    def share(self) -> float:
        """Share of the sequences that are kept."""
        return 0.5**self._shift

    @property
    def tokens(self) -> int:
        """Tokens that are kept."""
        return sum(len(part.sequence) for part in self._parts)

    def add(self, entries: Entries) -> None:
        """Keep what the sample has room for."""
        self._parts.append(self._thinned(entries))
        while sum(part.size for part in self._parts) > self._most:
            self._shift += 1
            self._parts = [self._thinned(part) for part in self._parts]

    def _thinned(self, entries: Entries) -> Entries:
        if not self._shift:
            return entries
        # The lowest bit of the place decides on the half, so that the highest ones are free to thin by.
        return entries.of(place_of(entries.sequence) >> np.uint64(64 - self._shift) == 0)

    def sequences(self) -> NDArray[np.int64]:
        """The sequence of each token, [token]."""
        return np.concatenate([np.zeros(0, np.int64), *(part.sequence for part in self._parts)])

    def carried(self, tag: int) -> NDArray[np.bool_]:
        """Whether each token carries a tag, bool [token]."""
        byte, bit = divmod(tag, 8)
        columns = [part.tags[:, byte] >> np.uint8(bit) & np.uint8(1) for part in self._parts]
        return np.concatenate([np.zeros(0, np.uint8), *columns]).astype(np.bool_)

    def activations(self, features: NDArray[np.int64]) -> dict[int, "Activations"]:
        """For each of some features, the tokens on which it is active and its activations there."""
        wanted = np.unique(features)
        rows, places, values, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)], 0
        slot = np.full(1 + max([0, *wanted.tolist(), *(int(part.feature.max(initial=0)) for part in self._parts)]), -1)
        slot[wanted] = np.arange(len(wanted))
        for part in self._parts:
            place = slot[part.feature]
            hit = place >= 0
            rows.append(part.row[hit].astype(np.int64) + first)
            places.append(place[hit])
            values.append(part.value[hit])
            first += len(part.sequence)
        row, place, value = np.concatenate(rows), np.concatenate(places), np.concatenate(values)
        narrow = place.astype(np.uint16) if len(wanted) < 1 << 16 else place  # which NumPy sorts in linear time
        order = np.argsort(narrow, kind="stable")
        ends = [0, *np.cumsum(np.bincount(place, minlength=len(wanted))).tolist()]
        return {
            feature: Activations(row[order[start:end]], value[order[start:end]])
            for feature, (start, end) in zip(wanted.tolist(), pairwise(ends), strict=True)
        }


class Activations(NamedTuple):
    """Tokens on which a feature is active, ascending, and its activations there."""

    row: NDArray[np.int64]
    value: NDArray[np.float32]


def auroc(active: NDArray[np.floating], tagged: NDArray[np.bool_], with_tag: int, without_tag: int) -> float:
    """Probability that a token with the tag has the larger activation than one without, ties counting half.

    `active` are the activations above 0 and `tagged` says which of these tokens carry the tag; all other tokens, of
    `with_tag` and `without_tag` in all, have activation 0. NaN if either number is 0.
    """
    if not with_tag or not without_tag:
        return float("nan")
    here, elsewhere = int(tagged.sum()), int((~tagged).sum())
    above = ranks(active)[tagged].sum() - here * (here + 1) / 2
    won = above + here * (without_tag - elsewhere) + 0.5 * (with_tag - here) * (without_tag - elsewhere)
    return float(won / (with_tag * without_tag))
