"""What figures write beside the examples of the features that they show: tokens in words."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.tables.parts.labels import variable


def token_texts(token: NDArray[np.int32], text: Callable[[int], str]) -> xr.Variable:
    """Tokens [shown, example, offset] in words, by `text` of an id; empty outside of the sequence (−1)."""
    known = {number: text(number) if number >= 0 else "" for number in np.unique(token).tolist()}
    words = np.array([known[number] for number in token.ravel().tolist()], dtype=object).reshape(token.shape)
    return variable(("shown", "example", "offset"), words, "tokens in words", "1")
