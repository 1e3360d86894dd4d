"""Sequences of a token store, as batches that a model reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polysem.io.shards import ROWS_PER_CHUNK
from polysem.io.stores import open_store, read_array, read_receipt
from polysem.models.subject import Batch
from polysem.models.token_ids import read_ids


class TokenStore:
    """A token store of a language model (`ids`) or of a classifier (`pixels`, `labels`), as tokenize_corpus writes it.

    `sequences` is the number of sequences, or of images; `attributes` what the store says of itself.
    """

    def __init__(self, path: Path) -> None:
        self.receipt = read_receipt(path)
        self._group = open_store(path)
        self.attributes: dict[str, Any] = dict(self._group.attrs)
        self.is_text = "ids" in self._group
        self.sequences: int = read_array(self._group, "ids" if self.is_text else "pixels").shape[0]

    def batch(self, start: int, stop: int) -> Batch:
        """Sequences start … stop − 1, at most up to the last one."""
        return self._text(start, stop) if self.is_text else self._images(start, stop)

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """All sequences in their order, `size` at a time; about a chunk of the store is read at once.

        Positions behind the last one that any sequence of a batch uses are cut off: padding costs as much as text.
        """
        stop = self.sequences if stop is None else min(stop, self.sequences)
        together = max(1, ROWS_PER_CHUNK // size) * size
        for first in range(start, stop, together):
            several = self.batch(first, min(first + together, stop))
            for offset in range(0, len(several.targets), size):
                yield several.part(offset, offset + size).without_padding()

    def ids(self, start: int, stop: int) -> NDArray[np.int32]:
        """Tokens [sequence, position] of sequences start … stop − 1, −1 behind the end of each; text alone has them."""
        return read_ids(self._group, start, stop)

    def _read(self, name: str, start: int, stop: int) -> Tensor:
        return torch.from_numpy(read_array(self._group, name)[start:stop])

    def _text(self, start: int, stop: int) -> Batch:
        ids = self._read("ids", start, stop).long()
        length = self._read("length", start, stop).long()
        counted = self._read("counted", start, stop)
        targets = torch.zeros_like(ids)
        targets[:, :-1] = ids[:, 1:]
        scored = torch.arange(ids.shape[1]) + 1 < length[:, None]
        return Batch(ids, targets, scored, counted)

    def _images(self, start: int, stop: int) -> Batch:
        pixels = self._read("pixels", start, stop)
        labels = self._read("labels", start, stop).long()[:, None]
        everywhere = torch.ones_like(labels, dtype=torch.bool)
        return Batch(pixels, labels, everywhere, everywhere)
