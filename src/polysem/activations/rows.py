"""Rows of an activation store, from its shards: stretches are read, scattered rows come from mapped files, a thousand
times faster than by indexing the array."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polysem.activations.mapped_shards import MappedShards
from polysem.io.shards import ROWS_PER_CHUNK
from polysem.io.stores import layout_of, open_store, read_array, read_receipt

PLACES = 1 << 18
"""Rows whose places are read at once, 4 MiB: opening the arrays takes longer than reading thousands of numbers."""
TOGETHER = 256
"""Scattered rows that are read before they are converted: they stay in the cache until then."""

Places = slice | NDArray[np.int64]
FLOAT32 = np.dtype(np.float32)


class ActivationRows:
    """The rows of an array of a store: `activations` [token, neuron], or `inputs` [token, input], which enter the
    neurons of the site. Memory holds only the rows asked for, and of the files of gathered rows what the system takes
    around each. Where they are not `mapped`, it holds nothing of files: each row is read, which takes longer.

    `length` is the number of tokens, `width` the number of neurons or inputs. InputError if the store lacks the array,
    and, with the file, when rows of a shard are asked for that is missing or torn.
    """

    def __init__(
        self, store: Path, name: Literal["activations", "inputs"] = "activations", *, mapped: bool = True
    ) -> None:
        self.receipt = read_receipt(store)
        self._group = open_store(store)
        array = read_array(self._group, name)
        self.length: int = array.shape[0]
        self.width: int = array.shape[1]
        self.dtype = np.dtype(array.dtype)
        self._shards = MappedShards(store / name, layout_of(array), self.length)
        self._rows = self._shards.taken if mapped else self._shards.read_each
        self._placed = range(0)
        self._places = (np.zeros(0, np.int64), np.zeros(0, np.int64))

    def gather(self, rows: NDArray[np.int64], dtype: np.dtype[Any] = FLOAT32) -> NDArray[Any]:
        """The rows with these numbers, in their order [row, neuron]; IndexError if there is no such row."""
        out = np.empty((len(rows), self.width), dtype)
        if not len(rows):
            return out
        if not (rows.min() >= 0 and rows.max() < self.length):
            raise IndexError(f"rows {rows.min()} … {rows.max()} are asked of a store of {self.length}")
        for where, shard, offset in self._parts(rows):
            out[where] = self._rows(shard, offset)
        return out

    def _parts(self, rows: NDArray[np.int64]) -> Iterator[tuple[Places, int, NDArray[np.int64]]]:
        """Numbers of rows in parts of few rows of one shard: their places among the numbers, the shard, the rows in
        it."""
        if self._shards.layout.shards(self.length) == 1:
            for first in range(0, len(rows), TOGETHER):
                yield slice(first, first + TOGETHER), 0, rows[first : first + TOGETHER]
            return
        shard, offset = np.divmod(rows, self._shards.layout.shard_rows)
        order = np.argsort(shard, kind="stable")
        starts = np.flatnonzero(np.diff(shard[order], prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            for first in range(start, stop, TOGETHER):
                part = order[first : min(first + TOGETHER, stop)]
                yield part, int(shard[part[0]]), offset[part]

    def blocks(self, rows: int = 4 * ROWS_PER_CHUNK) -> Iterator[NDArray[np.float32]]:
        """All rows in their order, as float32 blocks [up to `rows`, neuron]."""
        for start in range(0, self.length, rows):
            yield self.slice(start, min(start + rows, self.length))

    def slice(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start … stop − 1 as float32 [row, neuron]; IndexError if they are not all there."""
        if not 0 <= start < stop <= self.length:
            raise IndexError(f"rows {start} … {stop - 1} are asked of a store of {self.length}")
        return self._shards.read(start, stop).astype(np.float32, copy=False)

    def places(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sequence and position, in the token store, of rows start … stop − 1; both ascend, as the store is written."""
        if not (self._placed.start <= start and stop <= self._placed.stop):
            first = start // (PLACES // 2) * (PLACES // 2)
            self._placed = range(first, min(max(stop, first + PLACES), self.length))
            sequence, position = (
                np.asarray(read_array(self._group, name)[first : self._placed.stop], np.int64)
                for name in ("sequence", "position")
            )
            self._places = sequence, position
        part = slice(start - self._placed.start, stop - self._placed.start)
        return self._places[0][part], self._places[1][part]
