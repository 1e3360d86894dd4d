"""S4.X3: more examples of every feature than are shown, among which repeats are counted and different ones found."""

import numpy as np
import torch
from numpy.typing import NDArray

from polysem.tables.passes.survey.best import Best, numbered
from polysem.tables.passes.survey.blocks import Block
from polysem.tables.passes.survey.windows import Tokens


class BestOfTokens:
    """For each feature, the strongest example of each of the `count` tokens whose strongest examples are the largest;
    the earlier one among equals."""

    def __init__(self, features: int, count: int) -> None:
        self._count = count
        self.token = np.full((features, count), -1, np.int64)
        """Number of the example in the store, −1 where a feature has fewer; the largest activation first."""
        self.value = np.full((features, count), -1.0, np.float32)
        self._id = np.full((features, count), -1, np.int64)

    def add(
        self,
        feature: NDArray[np.int64],
        token: NDArray[np.int64],
        value: NDArray[np.float32],
        ids: NDArray[np.int64],
    ) -> None:
        """Offer activations of tokens behind all that were offered before; `token` ascends, `ids` are those of the
        vocabulary."""
        better = np.flatnonzero(value > self.value[:, -1][feature])
        if not len(better):
            return
        touched, group = numbered(feature[better], len(self.value))
        groups = np.concatenate([np.repeat(np.arange(len(touched)), self._count), group])
        values = np.concatenate([self.value[touched].ravel(), value[better]])
        tokens = np.concatenate([self.token[touched].ravel(), token[better]])
        known = np.concatenate([self._id[touched].ravel(), ids[better]])
        first = _strongest((groups << 32) + known + 1, values)
        first = first[known[first] >= 0]
        order = first[np.lexsort((tokens[first], -values[first], groups[first]))]
        start = np.searchsorted(groups[order], np.arange(len(touched)))
        place = np.arange(len(order)) - start[groups[order]]
        order, place = order[place < self._count], place[place < self._count]
        for table, new, none in ((self.token, tokens, -1), (self.value, values, -1.0), (self._id, known, -1)):
            fresh = np.full((len(touched), self._count), none, table.dtype)
            fresh[groups[order], place] = new[order]
            table[touched] = fresh


def _strongest(key: NDArray[np.int64], value: NDArray[np.float32]) -> NDArray[np.int64]:
    """Of entries with the same key, the one with the largest value, the earlier one among equals."""
    order = torch.argsort(torch.from_numpy(key), stable=True).numpy()
    begins = np.flatnonzero(np.diff(key[order], prepend=-1))
    sizes = np.diff(begins, append=len(order))
    ordered = value[order]
    is_largest = ordered == np.repeat(np.maximum.reduceat(ordered, begins), sizes)
    place = np.where(is_largest, np.arange(len(order)), len(order))
    return np.asarray(order[np.minimum.reduceat(place, begins)])


class Candidates:
    """The `strongest` examples of every feature and, of text, the strongest one of each of `tokens` tokens."""

    def __init__(self, features: int, strongest: int, tokens: int, store: Tokens) -> None:
        self._store = store
        self._best = Best(features, strongest)
        self._of_tokens = BestOfTokens(features, tokens) if store.is_text else None

    def add(self, block: Block) -> None:
        """Take the tokens of a block."""
        row, feature, value = (part.numpy() for part in (block.entries.row, block.entries.feature, block.entries.value))
        token = row + block.first
        self._best.add(-value.view(np.int32), feature, token, value)
        if self._of_tokens is not None:
            first = int(block.sequence[0])
            ids = self._store.ids(first, int(block.sequence[-1]) + 1)[block.sequence - first, block.position]
            self._of_tokens.add(feature, token, value, ids.astype(np.int64)[row])

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Tokens of the store and activations [feature, candidate], each example once, the largest activation first,
        the earlier one among equals; −1 and NaN behind a feature's last one."""
        token, value = self._best.token, self._best.value
        if self._of_tokens is not None:
            token = np.concatenate([token, self._of_tokens.token], axis=1)
            value = np.concatenate([value, self._of_tokens.value], axis=1)
        by_token = np.argsort(token, axis=1, kind="stable")
        token, value = np.take_along_axis(token, by_token, axis=1), np.take_along_axis(value, by_token, axis=1)
        again = np.zeros(token.shape, bool)
        again[:, 1:] = token[:, 1:] == token[:, :-1]
        gone = again | (token < 0)
        order = np.argsort(np.where(gone, np.inf, -value), axis=1, kind="stable")
        token, value = np.where(gone, -1, token), np.where(gone, np.float32(np.nan), value)
        return np.take_along_axis(token, order, axis=1), np.take_along_axis(value, order, axis=1)
