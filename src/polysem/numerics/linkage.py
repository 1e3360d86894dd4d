"""S3.M2: cosine distances of embeddings, their average linkage, and the clusters below a cut."""

from functools import cache

import fastcluster
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

COLUMNS = 4
"""Of a merge in scipy's form: two clusters, their distance, examples in both."""


def cosine_distances(
    vectors: Float[np.ndarray, "feature example input"], weights: Float[np.ndarray, "feature input"] | None = None
) -> Float[np.ndarray, "feature example example"]:
    """1 − cosine of all pairs of vectors of each feature, which are multiplied by its weights first.

    From Gram matrices. NaN for a vector that is 0 or not finite, which has no direction.
    """
    features, examples, inputs = vectors.shape
    gram = np.empty((features, examples, examples), np.float32)
    embedding = np.empty((examples, inputs), np.float32)
    with np.errstate(all="ignore"):
        for feature in range(features):  # one matrix stays in the cache, and BLAS computes half of its square
            if weights is None:
                np.matmul(vectors[feature], vectors[feature].T, out=gram[feature])
            else:
                np.multiply(vectors[feature], weights[feature], out=embedding)
                np.matmul(embedding, embedding.T, out=gram[feature])
        scale = 1 / np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
        scale[np.isinf(scale)] = np.nan
        gram *= scale[:, :, None]
        gram *= scale[:, None, :]
        np.subtract(1, gram, out=gram)
        np.clip(gram, 0, 2, out=gram)
    known = ~np.isnan(scale)
    gram[:, np.arange(examples), np.arange(examples)] = np.where(known, 0, np.nan)
    return gram


@cache
def _upper(size: int, width: int) -> NDArray[np.int64]:
    """Places of the pairs of the first `size` examples in a flat matrix of `width` columns, in scipy's order."""
    row, column = np.triu_indices(size, 1)
    return np.asarray(row * width + column)


def average_linkage(
    distances: Float[np.ndarray, "feature example example"], size: Int[np.ndarray, " feature"]
) -> Float[np.ndarray, "feature merge 4"]:
    """The average linkage of the first `size` examples of each feature, as scipy writes it; NaN behind the last merge,
    and for features with fewer than two examples or a distance that is not a number."""
    features, width, _ = distances.shape
    merges = np.full((features, max(width - 1, 0), COLUMNS), np.nan)
    flat = distances.reshape(features, width * width)
    for feature, count in enumerate(size.tolist()):
        if count > 1:
            condensed = flat[feature][_upper(count, width)].astype(np.float64)
            if np.isfinite(condensed).all():
                merges[feature, : count - 1] = fastcluster.linkage(condensed, "average", preserve_input=False)
    return merges


def cut_clusters(
    merges: Float[np.ndarray, "feature merge 4"], size: Int[np.ndarray, " feature"], cut: float
) -> Int[np.ndarray, "feature example"]:
    """The cluster of each example when merges above a distance of `cut` are undone; −1 behind the last example.

    Clusters are numbered by size, the largest 0; of equal ones the one with the earlier first example comes first.
    A single example is a cluster; features without merges because of a distance that is not a number have none.
    """
    features, width = len(merges), merges.shape[1] + 1
    valid = np.arange(width) < size[:, None]
    if width > 1:
        valid[(size > 1) & np.isnan(merges[:, 0, 2])] = False
    node = np.tile(np.arange(2 * width), (features, 1))
    for step in range(width - 2, -1, -1):
        joined = np.flatnonzero(merges[:, step, 2] <= cut)
        above = node[joined, size[joined] + step]
        for side in (0, 1):
            node[joined, merges[joined, step, side].astype(np.int64)] = above
    feature, example = np.nonzero(valid)
    of = feature * 2 * width + node[feature, example]
    members = np.bincount(of, minlength=features * 2 * width).reshape(features, -1)
    first = np.zeros(features * 2 * width, np.int64)
    first[of[::-1]] = example[::-1]  # of several, the last is kept
    order = np.argsort((width - members) * width + first.reshape(features, -1), axis=1)
    number = np.empty_like(order)
    np.put_along_axis(number, order, np.arange(2 * width)[None], axis=1)
    cluster = np.full((features, width), -1, np.int16)
    cluster[feature, example] = number.ravel()[of]
    return cluster
