"""What stands around strong examples, for a part of the features at a time."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.saes.entries import SparseEntries
from polysem.tables.passes.survey.recording import Recorded, SecondLook
from polysem.tables.passes.survey.windows import PLACES


def only(again: SecondLook, features: Int[np.ndarray, " feature"], of: int) -> SecondLook:
    """A second look at some of `of` features, which are numbered as they are listed here."""
    number = torch.full((of,), -1)
    number[torch.from_numpy(features)] = torch.arange(len(features))

    def looks() -> Iterator[Recorded]:
        for look in again():
            listed = number[look.entries.feature]
            kept = torch.nonzero(listed >= 0).view(-1)
            shape = (look.entries.tokens, len(features))
            yield Recorded(
                look.first, SparseEntries(look.entries.row[kept], listed[kept], look.entries.value[kept], shape)
            )

    return looks


def rows_before(
    token: Int[np.ndarray, "feature example"], before: int, rows: ActivationRows
) -> Int[np.ndarray, "feature example offset"]:
    """Numbers in the store of the tokens at the offsets −`before` … 0 from each token; −1 outside of its sequence, for
    tokens that are not in the store, and for −1."""
    around = np.full((token.size, before + 1), -1, np.int64)
    order = np.argsort(token, axis=None, kind="stable")
    tokens = token.ravel()[order]
    start = int(np.searchsorted(tokens, 0))
    while start < len(tokens):
        first = int(tokens[start])
        stop = int(np.searchsorted(tokens, first + PLACES - before))
        here, which = tokens[start:stop], order[start:stop]
        low = max(first - before, 0)
        sequence, position = rows.places(low, int(here[-1]) + 1)
        key = here - low
        for step in range(before + 1):
            near = np.maximum(key - step, 0)
            offset = before - (position[key] - position[near])
            hit = (key >= step) & (sequence[key] == sequence[near]) & (offset >= 0)
            around[which[hit], offset[hit]] = here[hit] - step
        start = stop
    return around.reshape(*token.shape, before + 1)


def random_tokens(
    features: Int[np.ndarray, " feature"], size: Int[np.ndarray, " feature"], width: int, length: int, seed: int
) -> NDArray[np.int64]:
    """`size` different tokens of a store of `length` for each feature, drawn by hashing (feature, place, seed): one out
    of each of as many equal stretches; 0 behind the last [feature, width]."""
    start = np.uint64(seed * int(GOLDEN) % 2**64)
    of_feature = mixed(features.astype(np.uint64) + GOLDEN + start)
    key = np.add.outer(of_feature, np.arange(1, width + 1, dtype=np.uint64)).astype(np.uint64)
    share = (mixed(key) >> np.uint64(11)) / 2.0**53
    of = np.maximum(size, 1)[:, None]
    place = np.arange(width)
    low, high = place * length // of, (place + 1) * length // of
    return np.where(place < size[:, None], low + (share * (high - low)).astype(np.int64), 0)
