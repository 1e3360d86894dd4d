"""S3.F4: examples in two dimensions."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def plane(distances: Float[np.ndarray, "example example"]) -> NDArray[np.float32]:
    """Places [example, axis] in the plane by classical scaling of distances (Torgerson 1952): the two directions along
    which the examples spread most. An axis along which nothing spreads is 0; of each axis, the largest coordinate is
    positive, so that the same distances always give the same picture."""
    squares = distances.astype(np.float64) ** 2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    axes = vectors[:, ::-1][:, :2] * np.sqrt(np.clip(values[::-1][:2], 0, None))
    places = np.zeros((len(distances), 2), np.float32)
    if len(distances):
        strongest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
        places[:, : axes.shape[1]] = axes * np.where(strongest < 0, -1, 1)
    return places
