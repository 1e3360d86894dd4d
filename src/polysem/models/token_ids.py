"""The tokens of a text's sequences, read without torch."""

import numpy as np
import zarr
from numpy.typing import NDArray

from polysem.io.stores import read_array


def read_ids(group: zarr.Group, start: int, stop: int) -> NDArray[np.int32]:
    """Tokens [sequence, position] of sequences start … stop − 1 of a token store, −1 behind the end of each."""
    ids, length = (np.asarray(read_array(group, name)[start:stop]) for name in ("ids", "length"))
    return np.where(np.arange(ids.shape[1]) < length[:, None], ids.astype(np.int32, copy=False), np.int32(-1))
