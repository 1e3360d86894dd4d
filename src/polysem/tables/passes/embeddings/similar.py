"""Clusters of other features that are like a cluster: nearest neighbours of their central examples (S3.U1)."""

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.embeddings.first_clusters import CLUSTERS

NEIGHBOURS = 5
"""Similar clusters of each."""
EXACT_BELOW = 5000
"""Among fewer clusters than this all are compared."""
PROBED = 16
"""Cells of the index that are looked into for each cluster."""
TRAINED_ON = 64
"""Vectors per cell from which the cells are learned."""


def nearest_clusters(
    embedding: Float[np.ndarray, "centre input"], feature: Int[np.ndarray, " centre"]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `NEIGHBOURS` centres with the largest cosines to each [centre, rank], and these cosines; −1 and NaN where
    there are fewer.

    `embedding` are unit vectors; centres with the same number in `feature`, the clusters of one feature, are no
    neighbours of each other. From `EXACT_BELOW` centres on the search is approximate: it looks at the centres in the
    `PROBED` cells of an inverted file that lie nearest. The same vectors give the same neighbours.
    """
    count, width = embedding.shape
    neighbour = np.full((count, NEIGHBOURS), -1, np.int32)
    similarity = np.full((count, NEIGHBOURS), np.nan, np.float32)
    if not count:
        return neighbour, similarity
    faiss.omp_set_num_threads(1)
    vectors = np.ascontiguousarray(embedding, np.float32)
    cosine, found = _index(vectors, count, width).search(vectors, min(count, NEIGHBOURS + CLUSTERS))
    other = (found >= 0) & (feature[np.maximum(found, 0)] != feature[:, None])
    order = np.argsort(~other, axis=1, kind="stable")[:, :NEIGHBOURS]
    kept = np.take_along_axis(other, order, axis=1)
    shape = (slice(None), slice(kept.shape[1]))
    neighbour[shape] = np.where(kept, np.take_along_axis(found, order, axis=1), -1)
    similarity[shape] = np.where(kept, np.take_along_axis(cosine, order, axis=1), np.nan)
    return neighbour, similarity


def _index(vectors: Float[np.ndarray, "centre input"], count: int, width: int) -> faiss.Index:
    flat = faiss.IndexFlatIP(width)
    if count < EXACT_BELOW:
        flat.add(vectors)
        return flat
    cells = round(2 * count**0.5)
    index = faiss.IndexIVFFlat(flat, width, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = TRAINED_ON
    index.train(vectors)
    index.add(vectors)
    index.nprobe = PROBED
    return index
