"""Activations of some features on a bounded number of tokens, for what sums cannot tell: ranks and distributions.

Which features these are is known only at the end of the pass, so the pass chooses tokens, and a second look tells what
is active on them: no entries of all features are kept.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polysem.numerics.ranks import ranks
from polysem.tables.parts.token_tags import place_of
from polysem.tables.passes.survey.recording import SecondLook

MOST = 1 << 24
"""Tokens of a sample and entries of all features on them, at most; those of a feature are a small part of them."""


@dataclass(frozen=True)
class Entries:
    """Tokens by their sequence, with tags packed eight to a byte, and their active entries."""

    sequence: NDArray[np.int64]
    tags: NDArray[np.uint8]
    row: NDArray[np.int32]
    feature: NDArray[np.int32]
    value: NDArray[np.float32]

    def of(self, tokens: NDArray[np.bool_]) -> "Entries":
        """Some of the tokens, with their entries."""
        number = np.cumsum(tokens, dtype=np.int32) - 1
        kept = tokens[self.row]
        return Entries(
            self.sequence[tokens], self.tags[tokens], number[self.row[kept]], self.feature[kept], self.value[kept]
        )


@dataclass(frozen=True)
class Tokens:
    """Tokens by their number in the store and their sequence, with tags packed eight to a byte, and how many entries
    each has."""

    number: NDArray[np.int64]
    sequence: NDArray[np.int64]
    tags: NDArray[np.uint8]
    entries: NDArray[np.int32]

    @property
    def size(self) -> int:
        """Tokens and entries."""
        return len(self.number) + int(self.entries.sum(dtype=np.int64))

    def of(self, tokens: NDArray[np.bool_]) -> "Tokens":
        """Some of the tokens."""
        return Tokens(self.number[tokens], self.sequence[tokens], self.tags[tokens], self.entries[tokens])


class Sample:
    """All tokens that were added, or, beyond `most` tokens and entries, those of a half, a quarter … of the sequences,
    chosen by a hash of the sequence: the same ones whatever the order and the blocks in which they came."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._parts: list[Tokens] = []
        self._size = 0
        self._shift = 0

    @property
    def share(self) -> float:
        """Share of the sequences that are kept."""
        return 0.5**self._shift

    @property
    def tokens(self) -> int:
        """Tokens that are kept."""
        return sum(len(part.number) for part in self._parts)

    def add(self, tokens: Tokens) -> None:
        """Keep what the sample has room for; tokens ascend."""
        self._parts.append(self._thinned(tokens))
        self._size += self._parts[-1].size
        while self._size > self._most:
            self._shift += 1
            self._parts = [self._thinned(part) for part in self._parts]
            self._size = sum(part.size for part in self._parts)

    def _thinned(self, tokens: Tokens) -> Tokens:
        if not self._shift:
            return tokens
        # The lowest bit of the place decides on the half, so that the highest ones are free to thin by.
        return tokens.of(place_of(tokens.sequence) >> np.uint64(64 - self._shift) == 0)

    def numbers(self) -> NDArray[np.int64]:
        """The number of each token in the store, ascending, [token]."""
        return np.concatenate([np.zeros(0, np.int64), *(part.number for part in self._parts)])

    def sequences(self) -> NDArray[np.int64]:
        """The sequence of each token, [token]."""
        return np.concatenate([np.zeros(0, np.int64), *(part.sequence for part in self._parts)])

    def carried(self, tag: int) -> NDArray[np.bool_]:
        """Whether each token carries a tag, bool [token]."""
        byte, bit = divmod(tag, 8)
        columns = [part.tags[:, byte] >> np.uint8(bit) & np.uint8(1) for part in self._parts]
        return np.concatenate([np.zeros(0, np.uint8), *columns]).astype(np.bool_)

    def activations(self, features: NDArray[np.int64], again: SecondLook) -> dict[int, "Activations"]:
        """For each of some features, the tokens on which it is active and its activations there, from a second look."""
        wanted = np.unique(features)
        if not len(wanted):
            return {}
        number = self.numbers()
        rows, places, values = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
        for look in again():
            entries = look.entries
            start, stop = np.searchsorted(number, (look.first, look.first + entries.tokens)).tolist()
            row = np.full(entries.tokens, -1, np.int32)
            row[number[start:stop] - look.first] = np.arange(start, stop)
            slot = np.full(entries.features, -1, np.int32)
            slot[wanted] = np.arange(len(wanted))
            row, place = row[entries.row.numpy()], slot[entries.feature.numpy()]
            hit = (row >= 0) & (place >= 0)
            rows.append(row[hit])
            places.append(place[hit])
            values.append(entries.value.numpy()[hit])
        row, place, value = np.concatenate(rows), np.concatenate(places), np.concatenate(values)
        narrow = place.astype(np.uint16) if len(wanted) < 1 << 16 else place  # which NumPy sorts in linear time
        order = np.argsort(narrow, kind="stable")
        ends = [0, *np.cumsum(np.bincount(place, minlength=len(wanted))).tolist()]
        return {
            feature: Activations(row[order[start:end]].astype(np.int64), value[order[start:end]])
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
