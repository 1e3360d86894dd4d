"""Shards of an array that are mapped into memory when their rows are asked for."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.io.shards import AGAIN, Layout

MAPPED = 1 << 13
"""Shards that are mapped at once, which is 8 TB of them: an eighth of the maps that Linux allows a process."""


class MappedShards:
    """The shards of an array of `length` rows. Those that were not asked for the longest are let go where more than
    `MAPPED` would be mapped; each is held against its index when it is first asked for.

    Methods raise InputError, with the file, for a shard that is missing, torn, or not one chunk behind the other.
    """

    def __init__(self, folder: Path, layout: Layout, length: int) -> None:
        self.layout = layout
        self._folder, self._length = folder, length
        self._mapped: dict[int, NDArray[Any]] = {}
        self._whole: set[int] = set()

    def mapped(self, shard: int) -> NDArray[Any]:
        """The rows of a shard, mapped. Python's own mmap would keep a file open for each."""
        rows = self._mapped.pop(shard, None)
        if rows is None:
            file, count = self._required(shard), self._rows(shard)
            size = count * int(np.prod(self.layout.row, dtype=np.int64))
            kind = getattr(torch, self.layout.dtype.name)
            flat = torch.from_file(str(file), shared=False, size=size, dtype=kind).numpy()
            rows = flat.reshape(count, *self.layout.row)
            if len(self._mapped) >= MAPPED:
                del self._mapped[next(iter(self._mapped))]
        self._mapped[shard] = rows
        return rows

    def taken(self, shard: int, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows of a shard, by their numbers in it, from the mapped file."""
        return np.take(self.mapped(shard), rows, axis=0)

    def read_each(self, shard: int, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The same rows, each read from the file: where files are large, Linux takes a megabyte around each row that is
        mapped into memory."""
        out = np.empty((len(rows), *self.layout.row), self.layout.dtype)
        size = self.layout.row_bytes
        with self._required(shard).open("rb", buffering=0) as stream:
            for place, row in zip(out, rows.tolist(), strict=True):
                if os.preadv(stream.fileno(), [place.data], row * size) < size:
                    raise InputError(f"{stream.name} became shorter while it was read; {AGAIN}")
        return out

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start … stop − 1 of the array. What is read leaves no file in memory, as mapped pages would stay there
        until the pass over the store is over."""
        out = np.empty((stop - start, *self.layout.row), self.layout.dtype)
        for shard in range(start // self.layout.shard_rows, self.layout.shards(stop)):
            first = shard * self.layout.shard_rows
            begin, end = max(start, first), min(stop, first + self.layout.shard_rows)
            rows = out[begin - start : end - start]
            with self._required(shard).open("rb") as stream:
                stream.seek((begin - first) * self.layout.row_bytes)
                if stream.readinto(rows.data) < rows.nbytes:
                    raise InputError(f"{stream.name} became shorter while it was read; {AGAIN}")
        return out

    def _rows(self, shard: int) -> int:
        return min(self.layout.shard_rows, self._length - shard * self.layout.shard_rows)

    def _required(self, shard: int) -> Path:
        file = self._folder / self.layout.file(shard)
        if shard not in self._whole:
            self.layout.require_whole(file, self._rows(shard))
            self._whole.add(shard)
        return file
