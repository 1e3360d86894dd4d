"""The known truth about tokens: which tags each carries."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from polysem.io.shards import ROWS_PER_CHUNK
from polysem.io.stores import open_store, read_array
from polysem.numerics.hashing import GOLDEN, mixed

HALVES = ("A", "B")
"""Halves of the sequences, in the order of the places that `held_out` tells apart."""


class TokenTags:
    """Tags of the tokens of a token store: those of its attribute `tags`, or the classes of its images.

    `names` are the tags, in the order of the bits. Memory holds one chunk of the store.
    """

    def __init__(self, store: Path) -> None:
        group = open_store(store)
        self._array: zarr.Array | None = None
        self._labels: NDArray[np.int64] | None = None
        self.names: tuple[str, ...] = ()
        if "labels" in group:
            self._labels = np.asarray(read_array(group, "labels")[:], np.int64)
            classes: Any = group.attrs["classes"]
            self.names = tuple(f"class:{number}" for number in range(classes))
        elif "tags" in group:
            self._array = read_array(group, "tags")
            names: Any = group.attrs["tags"]
            self.names = tuple(names)
        self._chunk, self._words = -1, np.zeros((0, 0, 0), np.uint64)

    def at(self, sequence: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each token carries each tag, bool [token, tag]."""
        if self._labels is not None:
            carried = np.zeros((len(sequence), len(self.names)), np.bool_)
            carried[np.arange(len(sequence)), self._labels[sequence]] = True
            return carried
        if self._array is None:
            return np.zeros((len(sequence), 0), np.bool_)
        words = np.empty((len(sequence), self._array.shape[2]), np.uint64)
        chunk = sequence // ROWS_PER_CHUNK
        for number in np.unique(chunk).tolist():
            if number != self._chunk:
                start = number * ROWS_PER_CHUNK
                self._chunk, self._words = number, np.asarray(self._array[start : start + ROWS_PER_CHUNK])
            here = chunk == number
            words[here] = self._words[sequence[here] % ROWS_PER_CHUNK, position[here]]
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, bitorder="little", count=len(self.names))
        return bits.astype(np.bool_)


def place_of(sequence: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number of each sequence that looks random and is always the same."""
    return mixed(sequence.astype(np.uint64) * GOLDEN + GOLDEN)


def held_out(sequence: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each sequence belongs to half B, on which scores are taken; the others, half A, are those on which
    features are chosen."""
    return (place_of(sequence) & np.uint64(1)).astype(np.bool_)
