"""What stands around chosen tokens of an activation store: activations of a feature, and the tokens themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.saes.entries import SparseEntries
from polysem.tables.passes.survey.recording import SecondLook

DENSE_NUMBERS = 1 << 22
"""Activations of features that lie open at once: 16 MiB stay in the cache."""
PLACES = 1 << 16
"""Tokens whose places are read at once."""
SEQUENCES = 1024
"""Sequences whose tokens are read at once."""
Whole = NDArray[np.int64]


class Tokens(Protocol):
    """Where the tokens of windows come from; `polysem.models.batches.TokenStore` is one."""

    is_text: bool
    sequences: int

    def ids(self, start: int, stop: int) -> NDArray[np.int32]:
        """Tokens [sequence, position] of some sequences, −1 behind the end of each."""


@dataclass(frozen=True)
class Window:
    """What is shown around a token: so many tokens before it and after it."""

    before: int
    after: int

    @property
    def width(self) -> int:
        """Number of tokens."""
        return self.before + 1 + self.after


class Places:
    """Where the tokens of a store stand; a stretch of them is read at once, never all."""

    def __init__(self, rows: ActivationRows) -> None:
        self._rows = rows
        self._start, self._stop = 0, 0
        self._read = (np.zeros(0, np.int64), np.zeros(0, np.int64))

    def between(self, start: int, stop: int) -> tuple[Whole, Whole]:
        """Sequence and position of the tokens start … stop − 1."""
        if not self._start <= start <= stop <= self._stop:
            self._start, self._stop = start, min(max(stop, start + PLACES), self._rows.length)
            self._read = self._rows.places(self._start, self._stop)
        part = slice(start - self._start, stop - self._start)
        return self._read[0][part], self._read[1][part]

    def of(self, token: Int[np.ndarray, " token"]) -> tuple[Whole, Whole]:
        """Sequence and position of some tokens; −1 for −1."""
        found = np.full((2, len(token)), -1, np.int64)
        order = np.argsort(token, kind="stable")
        for start in range(0, self._rows.length, PLACES):
            stop = min(start + PLACES, self._rows.length)
            chosen = order[slice(*np.searchsorted(token, (start, stop), sorter=order))]
            if len(chosen):
                found[:, chosen] = np.stack(self.between(start, stop))[:, token[chosen] - start]
        return found[0], found[1]


def activations_around(
    token: Int[np.ndarray, "feature example"], window: Window, again: SecondLook, places: Places
) -> Float[np.ndarray, "feature example offset"]:
    """Activations of each feature around its tokens, which are numbers in the store, or −1.

    NaN outside of the sequence, at tokens that are not in the store, and around −1. Masked tokens are not in the store,
    so the neighbours of a row stand at most as far from it as rows lie between them.
    """
    features, examples = token.shape
    hidden = window.width  # a last column takes what is not shown
    around = np.full(token.size * (hidden + 1), np.nan, np.float32)
    order = torch.argsort(torch.from_numpy(token).view(-1), stable=True).numpy()
    tokens = token.ravel()[order]
    known = np.searchsorted(tokens, 0)
    order, tokens = order[known:], tokens[known:]
    feature, slot = order // examples, order * (hidden + 1)
    for look in again():
        for start, dense in opened(look.entries, features):
            first, stop = look.first + start, look.first + start + len(dense)
            near = np.searchsorted(tokens, (first - window.after, stop + window.before))
            if near[0] == near[1]:
                continue
            low, high = min(first, int(tokens[near[0]])), max(stop, int(tokens[near[1] - 1]) + 1)
            sequence, position = places.between(low, high)
            for step in range(-window.before, window.after + 1):
                hit = slice(*np.searchsorted(tokens, (first - step, stop - step)))
                if hit.start == hit.stop:
                    continue
                here = tokens[hit] - (first - step)
                there = np.arange(first - low, stop - low)
                back = np.clip(there - step, 0, high - low - 1)
                column = position[there] - position[back] + window.before
                column[(sequence[there] != sequence[back]) | (column < 0) | (column > hidden)] = hidden
                around[slot[hit] + column[here]] = dense.ravel()[here * features + feature[hit]]
    return around.reshape(features, examples, hidden + 1)[:, :, :hidden]


def opened(entries: SparseEntries, features: int) -> Iterator[tuple[int, Float[np.ndarray, "token feature"]]]:
    """Consecutive tokens as matrices, and where in the block each begins. A matrix is good until the next one."""
    size = max(64, DENSE_NUMBERS // features)
    row, feature, value = entries.row.numpy(), entries.feature.numpy(), entries.value.numpy()
    dense = np.zeros((min(size, entries.tokens), features), np.float32)
    for start in range(0, entries.tokens, size):
        stop = min(start + size, entries.tokens)
        part = slice(*np.searchsorted(row, (start, stop)))
        places = (row[part] - start, feature[part])
        dense[places] = value[part]
        yield start, dense[: stop - start]
        dense[places] = 0


def tokens_around(
    sequence: Int[np.ndarray, "feature example"],
    position: Int[np.ndarray, "feature example"],
    window: Window,
    tokens: Tokens,
) -> Int[np.ndarray, "feature example offset"]:
    """Tokens around places of a token store, or −1: outside of the sequence, around −1 and in images."""
    around = np.full((sequence.size, window.width), -1, np.int32)
    if tokens.is_text:
        flat = sequence.ravel()
        order = np.argsort(flat, kind="stable")
        place = position.ravel()
        for start in range(0, tokens.sequences, SEQUENCES):
            chosen = order[slice(*np.searchsorted(flat, (start, start + SEQUENCES), sorter=order))]
            if len(chosen):
                ids = np.pad(
                    tokens.ids(start, start + SEQUENCES), ((0, 0), (window.before, window.after)), constant_values=-1
                )
                windows = np.lib.stride_tricks.sliding_window_view(ids, window.width, axis=1)
                around[chosen] = windows[flat[chosen] - start, place[chosen]]
    return around.reshape(*sequence.shape, window.width)
