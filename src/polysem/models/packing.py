"""Cutting documents into sequences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Bits = NDArray[np.uint64]


@dataclass(frozen=True)
class Packed:
    """One sequence: ids [position], positions before padding, tag bits [position, word]."""

    ids: Ids
    length: int
    bits: Bits


class Packing(Protocol):
    """A way of cutting documents into sequences of a fixed length."""

    def add(self, ids: Ids, bits: Bits) -> Iterator[Packed]:
        """Take one document; yield the sequences that are now full."""

    def rest(self) -> Iterator[Packed]:
        """Yield what is left at the end."""


class Documents:
    """One document per sequence: longer ones are cut, shorter ones padded with id 0."""

    def __init__(self, context: int) -> None:
        self._context = context

    def add(self, ids: Ids, bits: Bits) -> Iterator[Packed]:
        """One sequence per document."""
        length = min(len(ids), self._context)
        if length:
            padding = self._context - length
            yield Packed(np.pad(ids[:length], (0, padding)), length, np.pad(bits[:length], ((0, padding), (0, 0))))

    def rest(self) -> Iterator[Packed]:
        """Nothing is left."""
        yield from ()


class Concatenated:
    """Documents one after the other, cut into full sequences; the last, incomplete one is dropped."""

    def __init__(self, context: int) -> None:
        self._context = context
        self._ids: list[Ids] = []
        self._bits: list[Bits] = []
        self._held = 0

    def add(self, ids: Ids, bits: Bits) -> Iterator[Packed]:
        """All sequences that the document completes."""
        self._ids.append(ids)
        self._bits.append(bits)
        self._held += len(ids)
        if self._held < self._context:
            return
        all_ids, all_bits = np.concatenate(self._ids), np.concatenate(self._bits)
        full = self._held - self._held % self._context
        for start in range(0, full, self._context):
            stop = start + self._context
            yield Packed(all_ids[start:stop], self._context, all_bits[start:stop])
        self._ids, self._bits, self._held = [all_ids[full:]], [all_bits[full:]], self._held - full

    def rest(self) -> Iterator[Packed]:
        """Nothing: an incomplete sequence is dropped."""
        yield from ()
