"""What figures write beside the examples of the features that they show: tokens in words, or images."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.io.stores import ROWS_PER_CHUNK
from polysem.models.batches import TokenStore
from polysem.tables.parts.labels import variable


def token_texts(token: NDArray[np.int32], text: Callable[[int], str]) -> xr.Variable:
    """Tokens [shown, example, offset] in words, by `text` of an id; empty outside of the sequence (−1)."""
    known = {number: text(number) if number >= 0 else "" for number in np.unique(token).tolist()}
    words = np.array([known[number] for number in token.ravel().tolist()], dtype=object).reshape(token.shape)
    return variable(("shown", "example", "offset"), words, "tokens in words", "1")


def example_images(sequence: NDArray[np.int32], tokens: TokenStore) -> xr.Variable:
    """Images by their numbers [shown, example], of which −1 are none: pixels [shown, example, pixel], NaN for none."""
    width = tokens.batch(0, 1).inputs.shape[1]
    pixels = np.full((*sequence.shape, width), np.nan, np.float32)
    for chunk in np.unique(sequence[sequence >= 0] // ROWS_PER_CHUNK).tolist():
        start = chunk * ROWS_PER_CHUNK
        read = tokens.batch(start, start + ROWS_PER_CHUNK).inputs.float().numpy()
        here = (sequence >= start) & (sequence < start + len(read))
        pixels[here] = read[sequence[here] - start]
    return variable(("shown", "example", "pixel"), pixels, "pixels of the example", "1")
