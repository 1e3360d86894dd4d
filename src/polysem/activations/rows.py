"""Rows of an activation store, from its chunk files: stretches are read, scattered rows come from mapped files, a
thousand times faster than by indexing the array."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.io.stores import ROWS_PER_CHUNK, open_store, read_array, read_receipt

PLACES = 1 << 18
"""Rows whose places are read at once, 4 MiB: opening the arrays takes longer than reading thousands of numbers."""
AROUND = 1 << 16
"""Bytes of a mapped file that the system takes into memory for a row that is asked for."""

FLOAT32 = np.dtype(np.float32)


class ActivationRows:
    """The rows of an array of a store: `activations` [token, neuron], or `inputs` [token, input], which enter the
    neurons of the site. Memory holds only the rows asked for, and of the files of gathered rows what was touched, up to
    `held` bytes (None: all of it, which is fastest for rows in ever new orders).

    `length` is the number of tokens, `width` the number of neurons or inputs. InputError if the store lacks the array.
    """

    def __init__(
        self, store: Path, name: Literal["activations", "inputs"] = "activations", held: int | None = None
    ) -> None:
        self.receipt = read_receipt(store)
        self._group = open_store(store)
        array = read_array(self._group, name)
        self.length: int = array.shape[0]
        self.width: int = array.shape[1]
        self.dtype = np.dtype(array.dtype)
        self.rows_per_chunk = array.chunks[0]
        assert array.compressors == (), "activation stores are written uncompressed"
        self._folder = store / name / "c"
        self._held, self._touched = held, 0
        self._chunks: dict[int, NDArray[Any]] = {}
        self._placed = range(0)
        self._places = (np.zeros(0, np.int64), np.zeros(0, np.int64))

    def _file(self, chunk: int) -> Path:
        return self._folder / str(chunk) / "0"

    def _mapped(self, chunk: int) -> NDArray[Any]:
        """A chunk, mapped into memory. Python's own mmap would keep a file open per chunk, and large stores have more
        of them than a process may open."""
        if chunk not in self._chunks:
            shape = (self.rows_per_chunk, self.width)
            kind = getattr(torch, self.dtype.name)
            mapped = torch.from_file(str(self._file(chunk)), shared=False, size=shape[0] * shape[1], dtype=kind)
            self._chunks[chunk] = mapped.view(shape).numpy()
        return self._chunks[chunk]

    def _read(self, chunk: int, start: int, stop: int) -> NDArray[Any]:
        """Rows start … stop − 1 of a chunk. What is read leaves no file in memory, as mapped pages would stay there
        until the pass over the store is over."""
        row = self.width * self.dtype.itemsize
        rows = np.fromfile(self._file(chunk), self.dtype, (stop - start) * self.width, offset=start * row)
        if len(rows) < (stop - start) * self.width:
            raise InputError(f"{self._file(chunk)} ends before its rows do; delete the store and run again")
        return rows.reshape(-1, self.width)

    def gather(self, rows: NDArray[np.int64], dtype: np.dtype[Any] = FLOAT32) -> NDArray[Any]:
        """The rows with these numbers, in their order [row, neuron]; IndexError if there is no such row."""
        out = np.empty((len(rows), self.width), dtype)
        if not len(rows):
            return out
        if not (rows.min() >= 0 and rows.max() < self.length):
            raise IndexError(f"rows {rows.min()} … {rows.max()} are asked of a store of {self.length}")
        chunk, offset = np.divmod(rows, self.rows_per_chunk)
        order = np.argsort(chunk, kind="stable")
        starts = np.flatnonzero(np.diff(chunk[order], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            where = order[start:stop]
            out[where] = self._mapped(int(chunk[where[0]]))[offset[where]]
            self._touched += len(where) * max(AROUND, self.width * self.dtype.itemsize)
            if self._held is not None and self._touched > self._held:
                self._chunks.clear()
                self._touched = 0
        return out

    def blocks(self, rows: int = 4 * ROWS_PER_CHUNK) -> Iterator[NDArray[np.float32]]:
        """All rows in their order, as float32 blocks [up to `rows`, neuron]."""
        for start in range(0, self.length, rows):
            yield self.slice(start, min(start + rows, self.length))

    def slice(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start … stop − 1 as float32 [row, neuron]; IndexError if they are not all there."""
        if not 0 <= start < stop <= self.length:
            raise IndexError(f"rows {start} … {stop - 1} are asked of a store of {self.length}")
        parts = []
        for chunk in range(start // self.rows_per_chunk, -(-stop // self.rows_per_chunk)):
            first = chunk * self.rows_per_chunk
            parts.append(self._read(chunk, max(start - first, 0), min(stop - first, self.rows_per_chunk)))
        together = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return together.astype(np.float32, copy=False)

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
