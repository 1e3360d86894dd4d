"""The best few tokens of every feature, by a number that each of its activations has."""

import numpy as np
import torch
from numpy.typing import NDArray

NONE = np.int32(2**31 - 1)
"""A key that no activation has: a place that is still free."""


class Best:
    """For each feature, the `count` tokens with the smallest keys, best first; earlier tokens first among equal ones.

    Only activations that beat a feature's last one are looked at twice, and these get few: after a tenth of the tokens
    a feature has had two thirds of all that it will have.
    """

    def __init__(self, features: int, count: int) -> None:
        self.key = np.full((features, count), NONE)
        self.token = np.full((features, count), -1, np.int64)
        """Number of the token in the store; −1 where a feature has fewer."""
        self.value = np.full((features, count), np.nan, np.float32)

    def add(
        self,
        key: NDArray[np.int32],
        feature: NDArray[np.int64],
        token: NDArray[np.int64],
        value: NDArray[np.float32],
    ) -> None:
        """Offer activations of tokens behind all that were offered before; tokens ascend."""
        count = self.key.shape[1]
        if not count:
            return
        better = np.flatnonzero(key < self.key[:, -1][feature])
        touched, group = numbered(feature[better], len(self.key))
        keys = np.concatenate([self.key[touched].ravel(), key[better]])
        groups = np.concatenate([np.repeat(np.arange(len(touched)), count), group])
        order = torch.argsort(torch.from_numpy((groups << 32) + keys), stable=True).numpy()
        sizes = np.bincount(group, minlength=len(touched)) + count
        ends = np.cumsum(sizes)
        kept = order[((ends - sizes)[:, None] + np.arange(count)).ravel()]
        tokens = np.concatenate([self.token[touched].ravel(), token[better]])
        values = np.concatenate([self.value[touched].ravel(), value[better]])
        for table, new in ((self.key, keys), (self.token, tokens), (self.value, values)):
            table[touched] = new[kept].reshape(-1, count)


def numbered(feature: NDArray[np.int64], features: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The features that occur, ascending, and of each entry the number of its feature among them."""
    occurs = np.zeros(features, bool)
    occurs[feature] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[feature]
