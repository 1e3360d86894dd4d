"""The largest entries of rows, in order, the first of equal ones first."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def largest(values: NDArray[Any], ranks: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Places and values [row, rank] of the `ranks` largest entries of each row, of equal ones the earlier first.

    One search for the maximum per rank, as the rows stay in the cache; for few ranks that is faster than a heap per
    row. Entries that were found are lowered for the next search and put back at the end.
    """
    rows = np.arange(len(values))
    place = np.empty((len(values), ranks), np.int64)
    value = np.empty((len(values), ranks), values.dtype)
    for rank in range(ranks):
        place[:, rank] = values.argmax(axis=1)
        value[:, rank] = values[rows, place[:, rank]]
        values[rows, place[:, rank]] = -np.inf
    values[rows[:, None], place] = value
    return place, value
