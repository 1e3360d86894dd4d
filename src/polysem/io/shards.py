"""Shards: files of a Zarr v3 array (codec `sharding_indexed`) in which uncompressed chunks of rows stand one behind the
other, with an index of them at the end. They are written by appending, and a row is found by multiplication."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from polysem.io.errors import InputError

ROWS_PER_CHUNK = 1024
"""Chunks are this long along their first dimension: aligned writes and whole-chunk reads run at memory speed."""
SHARD_BYTES = 1 << 30
"""Bytes of a shard, at most: 2 billion tokens of 2,048 neurons are 7,630 files for each array."""
CHECKSUM = 4
"""Bytes of the CRC-32C behind an index."""
MISSING = np.uint64(2**64 - 1)
"""Place and size, in an index, of a chunk that the shard does not hold."""
AGAIN = "delete the store and run again"


def rows_per_shard(rows: int, row_bytes: int, shard_bytes: int = SHARD_BYTES) -> int:
    """Rows of a shard in an array of so many rows: whole chunks, as many as `shard_bytes` hold and one at least, and
    no more than the array has."""
    most = max(1, shard_bytes // (row_bytes * ROWS_PER_CHUNK))
    return min(most, max(1, -(-rows // ROWS_PER_CHUNK))) * ROWS_PER_CHUNK


@dataclass(frozen=True)
class Layout:
    """How the rows of an array lie in its shards."""

    dtype: np.dtype[Any]
    row: tuple[int, ...]
    """Shape of a row."""
    shard_rows: int
    chunk_rows: int = ROWS_PER_CHUNK

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.row, dtype=np.int64)) * self.dtype.itemsize

    @property
    def index_bytes(self) -> int:
        """Bytes of the index at the end of a shard, with its checksum."""
        return self.shard_rows // self.chunk_rows * 16 + CHECKSUM

    def file(self, shard: int) -> str:
        """The path of a shard below the folder of its array: `c/3/0`."""
        return "/".join(["c", str(shard), *("0" for _ in self.row)])

    def shards(self, rows: int) -> int:
        """Number of shards of an array of so many rows."""
        return -(-rows // self.shard_rows)

    def index(self, chunks: int) -> bytes:
        """The index of a shard whose first chunks are there, each behind the one before, with its checksum."""
        size = self.chunk_rows * self.row_bytes
        places = np.full((self.shard_rows // self.chunk_rows, 2), MISSING, "<u8")
        places[:chunks, 0] = np.arange(chunks, dtype=np.uint64) * np.uint64(size)
        places[:chunks, 1] = size
        content = places.tobytes()
        return content + int(google_crc32c.value(content)).to_bytes(CHECKSUM, "little")

    def require_whole(self, file: Path, rows: int) -> None:
        """InputError unless a shard has the size and the index of one whose first `rows` rows are there; the rows
        themselves are not read."""
        chunks = -(-rows // self.chunk_rows)
        index = self.index(chunks)
        size = chunks * self.chunk_rows * self.row_bytes + len(index)
        if not file.is_file():
            raise InputError(f"{file} is missing; {AGAIN}")
        if file.stat().st_size != size:
            raise InputError(f"{file} is torn: it has {file.stat().st_size:,} bytes and not {size:,}; {AGAIN}")
        with file.open("rb") as stream:
            stream.seek(size - len(index))
            if stream.read() != index:
                raise InputError(f"{file} is damaged: its index is not that of chunks one behind the other; {AGAIN}")


class ShardWriter:
    """One shard that is appended to; memory holds one chunk. The file is no shard before `finish`."""

    def __init__(self, file: Path, layout: Layout) -> None:
        self._layout = layout
        self._chunk = np.zeros((layout.chunk_rows, *layout.row), layout.dtype)
        self._filled = self._chunks = 0
        self._digest = hashlib.sha256()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("wb")

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows; ValueError for more than the shard has room for."""
        there = self._chunks * self._layout.chunk_rows + self._filled
        if there + len(rows) > self._layout.shard_rows:
            raise ValueError(f"{len(rows)} rows do not go into a shard of {self._layout.shard_rows} that has {there}")
        while len(rows):
            part = rows[: self._layout.chunk_rows - self._filled]
            self._chunk[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            rows = rows[len(part) :]
            if self._filled == self._layout.chunk_rows:
                self._append()

    def finish(self) -> str:
        """Fill the last chunk with zeros, append the index and close the file; its sha256."""
        if self._filled:
            self._chunk[self._filled :] = 0
            self._append()
        self._write(self._layout.index(self._chunks))
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _append(self) -> None:
        self._write(self._chunk.data)
        self._filled, self._chunks = 0, self._chunks + 1

    def _write(self, content: memoryview | bytes) -> None:
        self._file.write(content)
        self._digest.update(content)
