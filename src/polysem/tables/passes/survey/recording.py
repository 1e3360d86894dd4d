"""A second look at active features: what is known only at the end of the pass is asked of a record of it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from polysem.saes.entries import SparseEntries
from polysem.tables.passes.survey.blocks import Block


class Look(Protocol):
    """What a second look shows of a block."""

    @property
    def first(self) -> int:
        """Number of the first token in the store."""

    @property
    def entries(self) -> SparseEntries:
        """Features above 0, as in `Block`."""


SecondLook = Callable[[], Iterable[Look]]
"""All blocks again, as often as it is called."""


@dataclass(frozen=True)
class Recorded:
    """The entries of a block, read back."""

    first: int
    entries: SparseEntries


class Recording:
    """The entries of all blocks in a file that nobody sees: 8 bytes per entry and 4 per token.

    Encoding once more would cost most of the pass, and memory must not grow with the tokens. The file has no name, so
    nothing is left of it whatever ends the process.
    """

    def __init__(self, folder: Path, features: int) -> None:
        self._features = features
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the recording
        self._blocks: list[tuple[int, int, int]] = []

    def add(self, block: Block) -> None:
        """Write the entries of a block."""
        entries = block.entries
        self._file.seek(0, 2)
        counts = torch.bincount(entries.row, minlength=entries.tokens)
        for numbers in (counts.int(), entries.feature.int(), entries.value):
            self._file.write(numbers.numpy().data)
        self._blocks.append((block.first, entries.tokens, entries.count()))

    def blocks(self) -> Iterator[Recorded]:
        """All blocks in their order."""
        place = 0
        for first, tokens, count in self._blocks:
            self._file.seek(place)
            numbers = np.fromfile(self._file, np.int32, tokens + 2 * count)
            place = self._file.tell()
            row = torch.repeat_interleave(torch.arange(tokens), torch.from_numpy(numbers[:tokens]).long())
            feature = torch.from_numpy(numbers[tokens : tokens + count]).long()
            value = torch.from_numpy(numbers[tokens + count :].view(np.float32))
            yield Recorded(first, SparseEntries(row, feature, value, (tokens, self._features)))
