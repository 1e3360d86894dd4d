"""Members of groups that change places with each other."""

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray


def exchanged(group: Int[NDArray, " member"], seed: int) -> Int[NDArray, " member"]:
    """For each member another one of its group, or itself, each once, drawn with a seed: all orders of a group are
    equally likely."""
    drawn = np.random.default_rng(seed).random(len(group))
    order = np.empty(len(group), np.int64)
    order[np.argsort(group, kind="stable")] = np.lexsort((drawn, group))
    return order
