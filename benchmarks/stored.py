"""Activation stores of given rows, written as extraction writes them, for benchmarks and tests."""

from types import MappingProxyType

import numpy as np
import torch

from polysem.activations.row_writer import RowWriter
from polysem.io.begun import Begun
from polysem.io.shards import SHARD_BYTES
from polysem.io.stores import partial_of, written_store


def write_rows(path, pieces, count, width, *, context=128, params=MappingProxyType({}), shard_bytes=SHARD_BYTES):
    """A store of the first `count` rows of float16 arrays [row, `width`]. Its sequences have `context` − 1 tokens, as
    the first of each is masked; returns how many these are."""
    begun = Begun(partial_of(path), {})
    with written_store(path, attributes={}, params=params, code="", device="cpu", begun=begun) as group:
        writer = RowWriter(partial_of(path), "site", width, "float16", count, shard_bytes=shard_bytes)
        for piece in pieces:
            sequence, position = np.divmod(np.arange(writer.rows, writer.rows + len(piece)), context - 1)
            values, taken = torch.from_numpy(piece), 0
            while taken < len(piece) and not writer.full:
                taken += writer.add(values[taken:], sequence[taken:], position[taken:] + 1)
                if writer.shard_is_full:
                    begun.digests |= writer.end_shard()
        writer.declare(group)
    return (count - 1) // (context - 1) + 1
