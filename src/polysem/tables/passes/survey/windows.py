"""What stands around chosen tokens of an activation store: activations of a feature, and the tokens themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.saes.entries import SparseEntries
from polysem.tables.passes.survey.recording import Look, SecondLook

DENSE_NUMBERS = 1 << 22
"""Activations of features that lie open at once: 16 MiB stay in the cache."""
PLACES = 1 << 16
"""Tokens whose places are looked at at once."""
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


def places_of(rows: ActivationRows, token: Int[np.ndarray, " token"]) -> tuple[Whole, Whole]:
    """Sequence and position of some tokens of a store; −1 for −1. A stretch of the store is looked at at once."""
    found = np.full((2, len(token)), -1, np.int64)
    order = np.argsort(token, kind="stable")
    for start in range(0, rows.length, PLACES):
        stop = min(start + PLACES, rows.length)
        chosen = order[slice(*np.searchsorted(token, (start, stop), sorter=order))]
        if len(chosen):
            found[:, chosen] = np.stack(rows.places(start, stop))[:, token[chosen] - start]
    return found[0], found[1]


def activations_around(
    token: Int[np.ndarray, "feature example"], window: Window, again: SecondLook, rows: ActivationRows
) -> Float[np.ndarray, "feature example offset"]:
    """Activations of each feature around its tokens, which are numbers in the store, or −1.

    NaN outside of the sequence, at tokens that are not in the store, and around −1. Masked tokens are not in the store,
    so the neighbours of a row stand at most as far from it as rows lie between them.
    """
    around = np.full((token.size, window.width + 1), np.nan, np.float32)  # a last column takes what is not shown
    _clear(around, token.ravel(), window, rows)
    for look in again():
        _fill(around, token, window, look, rows)
    return around[:, : window.width].reshape(*token.shape, window.width)


def _clear(around: Float[np.ndarray, "place column"], token: Whole, window: Window, rows: ActivationRows) -> None:
    """0 at all tokens of the store in the windows of some tokens, or −1."""
    for start in range(0, rows.length, PLACES):
        chosen = np.flatnonzero((token >= start) & (token < start + PLACES))
        middle = token[chosen]
        stretch = _Stretch.around(middle, window, rows)
        for step in range(-window.before, window.after + 1):
            near = (middle + step).clip(0, rows.length - 1)
            around[chosen, stretch.columns(middle, near)] = 0


def _fill(
    around: Float[np.ndarray, "place column"],
    token: Int[np.ndarray, "feature example"],
    window: Window,
    look: Look,
    rows: ActivationRows,
) -> None:
    """The activations of each feature in the windows of its tokens, as far as a block has them."""
    entries, length = look.entries, look.entries.tokens
    order, row, _ = (part.numpy() for part in entries.by_feature)
    number = entries.feature.numpy()[order] * length + row
    place = token - look.first
    chosen = np.flatnonzero((token >= 0) & (place >= -window.after) & (place < length + window.before))
    feature, middle = chosen // token.shape[1] * length, place.ravel()[chosen]
    first = np.searchsorted(number, feature + (middle - window.before).clip(0, length))
    count = np.searchsorted(number, feature + (middle + window.after + 1).clip(0, length)) - first
    found = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    here = np.repeat(chosen, count)
    stretch = _Stretch.around(token.ravel()[chosen], window, rows)
    column = stretch.columns(token.ravel()[here], row[found] + look.first)
    around[here, column] = entries.value.numpy()[order[found]]


@dataclass(frozen=True)
class _Stretch:
    """Where the tokens of a stretch of the store stand."""

    first: int
    place: Whole
    """Positions in sequences that are further apart than any window."""
    window: Window

    @classmethod
    def around(cls, token: Whole, window: Window, rows: ActivationRows) -> "_Stretch":
        """The stretch that holds the windows of some tokens."""
        if not len(token):
            return cls(0, token, window)
        first, stop = max(0, int(token.min()) - window.before), min(rows.length, int(token.max()) + window.after + 1)
        sequence, position = rows.places(first, stop)
        return cls(first, (sequence.astype(np.int64) << 32) + position, window)

    def columns(self, token: Whole, near: Whole) -> Whole:
        """The columns of the windows of tokens in which other tokens stand; behind the last one where in none."""
        column = self.place[near - self.first] - self.place[token - self.first] + self.window.before
        return np.minimum(column.view(np.uint64), self.window.width).view(np.int64)


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
    sequence: Int[np.ndarray, "*example"],
    position: Int[np.ndarray, "*example"],
    window: Window,
    tokens: Tokens,
) -> Int[np.ndarray, "*example offset"]:
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
