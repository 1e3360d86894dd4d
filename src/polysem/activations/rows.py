"""Rows of an activation store, read by mapping its chunk files (TECHNIQUES: a thousand times faster than indexing)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from polysem.io.stores import ROWS_PER_CHUNK, open_store, read_array, read_receipt


class ActivationRows:
    """The rows of an array of a store: `activations` [token, neuron], or `inputs` [token, input], which enter the
    neurons of the site. Memory holds only the rows asked for.

    `length` is the number of tokens, `width` the number of neurons or inputs. InputError if the store lacks the array.
    """

    def __init__(self, store: Path, name: Literal["activations", "inputs"] = "activations") -> None:
        self.receipt = read_receipt(store)
        self._group = open_store(store)
        array = read_array(self._group, name)
        self.length: int = array.shape[0]
        self.width: int = array.shape[1]
        self.dtype = np.dtype(array.dtype)
        self.rows_per_chunk = array.chunks[0]
        assert array.compressors == (), "activation stores are written uncompressed"
        folder = store / name / "c"
        self._chunks = [
            self._mapped(folder / str(chunk) / "0") for chunk in range(-(-self.length // self.rows_per_chunk))
        ]

    def _mapped(self, file: Path) -> NDArray[Any]:
        """A chunk, mapped into memory. Python's own mmap would keep a file open per chunk, and large stores have more
        of them than a process may open."""
        shape = (self.rows_per_chunk, self.width)
        kind = getattr(torch, self.dtype.name)
        return torch.from_file(str(file), shared=False, size=shape[0] * shape[1], dtype=kind).view(shape).numpy()

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows with these numbers, in their order, as float32 [row, neuron]; IndexError if there is no such row."""
        out = np.empty((len(rows), self.width), np.float32)
        if not len(rows):
            return out
        if not (rows.min() >= 0 and rows.max() < self.length):
            raise IndexError(f"rows {rows.min()} … {rows.max()} are asked of a store of {self.length}")
        chunk, offset = np.divmod(rows, self.rows_per_chunk)
        order = np.argsort(chunk, kind="stable")
        starts = np.flatnonzero(np.diff(chunk[order], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            where = order[start:stop]
            out[where] = self._chunks[chunk[where[0]]][offset[where]]
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
            parts.append(self._chunks[chunk][max(start - first, 0) : stop - first])
        return np.concatenate(parts).astype(np.float32, copy=False)

    def places(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sequence and position, in the token store, of rows start … stop − 1; both ascend, as the store is written."""
        sequence, position = (
            np.asarray(read_array(self._group, name)[start:stop], np.int64) for name in ("sequence", "position")
        )
        return sequence, position
