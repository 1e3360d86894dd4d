"""Random rows of an activation store in shards, against chunk files that are all mapped; stretches of rows; writing.

`python benchmarks/stored_rows.py` writes the same rows both ways into a temporary folder and prints the CPU time of
batches of random rows, of blocks in order, and of writing with digests as a share of that of chunk files, in one
process, in turn, medians.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
import zarr
from stored import write_rows

from polysem.activations.rows import ActivationRows
from polysem.io.content import folder_digest
from polysem.io.shards import ROWS_PER_CHUNK, SHARD_BYTES

BATCH = 4096


class ChunkFiles:
    """Rows in chunk files: each is mapped when it is first asked for, and stays so."""

    def __init__(self, folder, width):
        self._folder, self._width, self._chunks = folder, width, {}

    def _mapped(self, chunk):
        if chunk not in self._chunks:
            size = ROWS_PER_CHUNK * self._width
            mapped = torch.from_file(str(self._folder / str(chunk) / "0"), shared=False, size=size, dtype=torch.float16)
            self._chunks[chunk] = mapped.view(ROWS_PER_CHUNK, self._width).numpy()
        return self._chunks[chunk]

    def gather(self, rows):
        out = np.empty((len(rows), self._width), np.float32)
        chunk, offset = np.divmod(rows, ROWS_PER_CHUNK)
        order = np.argsort(chunk, kind="stable")
        starts = np.flatnonzero(np.diff(chunk[order], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            where = order[start:stop]
            out[where] = self._mapped(int(chunk[where[0]]))[offset[where]]
        return out

    def slice(self, start, stop):
        parts = [
            np.fromfile(self._folder / str(chunk) / "0", np.float16).reshape(-1, self._width)
            for chunk in range(start // ROWS_PER_CHUNK, stop // ROWS_PER_CHUNK)
        ]
        return np.concatenate(parts).astype(np.float32)


def write_chunk_files(path, pieces, count, width):
    """As Zarr writes chunk after chunk; the rows alone."""
    group = zarr.create_group(path)
    options = {"chunks": (ROWS_PER_CHUNK, width), "compressors": None, "config": {"write_empty_chunks": True}}
    array = group.create_array("x", shape=(count, width), dtype="float16", **options)
    for number, piece in enumerate(pieces):
        array[number * ROWS_PER_CHUNK : (number + 1) * ROWS_PER_CHUNK] = piece
    folder_digest(path)


def spent(work):
    begun = time.process_time()
    work()
    return time.process_time() - begun


def gathered(rows, batch):
    return spent(lambda: rows.gather(batch))


def read(rows, start):
    return spent(lambda: rows.slice(start, start + 4 * ROWS_PER_CHUNK))


def pieces(chunks, width):
    return repeat(np.random.default_rng(0).standard_normal((ROWS_PER_CHUNK, width)).astype(np.float16), chunks)


def compared(folder, chunks, width, shard_bytes, rounds):
    """Median shares of the CPU time of chunk files: random rows, blocks in order, writing."""
    count, draw = chunks * ROWS_PER_CHUNK, np.random.default_rng(1)
    files, store = folder / "files.zarr", folder / "train.zarr"
    blocks = range(0, count, 4 * ROWS_PER_CHUNK)
    writing, random, stretches = [], [], []
    for _ in range(3):
        shutil.rmtree(files, ignore_errors=True)
        before = spent(lambda: write_chunk_files(files, pieces(chunks, width), count, width))
        now = spent(lambda: write_rows(store, pieces(chunks, width), count, width, shard_bytes=shard_bytes))
        writing.append(now / before)
    theirs, ours = ChunkFiles(files / "x/c", width), ActivationRows(store)
    everything = draw.permutation(count)
    gathered(theirs, everything), gathered(ours, everything)  # maps both
    for number in range(rounds):
        batch, start = draw.integers(0, count, BATCH), blocks[number % len(blocks)]
        order = (theirs, ours) if number % 2 else (ours, theirs)
        found = {rows: (gathered(rows, batch), read(rows, start)) for rows in order}
        random.append(found[ours][0] / found[theirs][0])
        stretches.append(found[ours][1] / found[theirs][1])
    return [statistics.median(found) for found in (random, stretches, writing)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--chunks", type=int, default=64)
    rounds, chunks = (options := parser.parse_args()).rounds, options.chunks
    torch.set_num_threads(1)
    print("| neurons | MB of a shard | shards | random rows | blocks in order | writing |\n|---|---|---|---|---|---|")
    for width, shard_bytes in ((512, SHARD_BYTES), (2048, SHARD_BYTES), (2048, 64 << 20), (2048, 4 << 20)):
        with tempfile.TemporaryDirectory() as folder:
            found = compared(Path(folder), chunks, width, shard_bytes, rounds)
        shards = -(-chunks * ROWS_PER_CHUNK * width * 2 // shard_bytes)
        numbers = " | ".join(f"{share:.2f}" for share in found)
        print(f"| {width:,} | {shard_bytes >> 20:,} | {shards} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
