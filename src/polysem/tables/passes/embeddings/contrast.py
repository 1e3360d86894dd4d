"""What figures say of two examples, and of the two largest clusters, of a feature that they show (S3.F1, S3.F4)."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.tables.parts.labels import variable

INPUTS = 40
"""Inputs in which two embeddings are shown side by side."""


def contrast_variables(
    distances: Mapping[str, Float[np.ndarray, "shown example example"]],
    cluster: Int[np.ndarray, "shown example"],
    central: Int[np.ndarray, "shown cluster"],
    entering: Float[np.ndarray, "shown example input"],
    weights: Float[np.ndarray, "shown input"],
) -> dict[str, xr.Variable]:
    """Variables along `shown`, from the distances of the examples under each embedding, and of neuron embeddings the
    `cluster` of each example (−1 behind the last) and the `central` example of each cluster (−1: no such cluster).

    Over `contrast`: `contrast_example`, the two examples of `contrasted`; `contrast_embedding` (…, input);
    `contrast_input_share`, of the squared length in the inputs `contrast_input` (`contrast_rank`), the `INPUTS` with
    the largest products in either of the two. Over `embedding`: `contrast_distance` of the two, and
    `two_clusters_intra_distance` and `two_clusters_inter_distance` of `between_largest`. Products are in float64, where
    they are exact.
    """
    features, inputs = weights.shape
    example = np.full((features, 2), -1, np.int16)
    embedding = np.full((features, 2, inputs), np.nan)
    first = np.zeros((features, min(INPUTS, inputs)), np.int32)
    share, apart = np.full((features, 2), np.nan), np.full((features, len(distances)), np.nan)
    intra, inter = apart.copy(), apart.copy()
    for feature in range(features):
        size = int((cluster[feature] >= 0).sum())
        products = entering[feature, :size].astype(np.float64) * weights[feature].astype(np.float64)
        one, other = contrasted(products, central[feature])
        example[feature], embedding[feature] = (one, other), products[[one, other]]
        first[feature], share[feature] = largest_inputs(embedding[feature])
        for place, of in enumerate(distances.values()):
            apart[feature, place] = of[feature, one, other]
            intra[feature, place], inter[feature, place] = between_largest(
                of[feature, :size, :size], cluster[feature, :size]
            )
    both, by_embedding = ("shown", "contrast"), ("shown", "embedding")
    return {
        "contrast_example": variable(
            both,
            example,
            "two examples: central ones of the two largest clusters, or of one and the most unlike",
            "1",
        ),
        "contrast_distance": variable(by_embedding, apart, "cosine distance of these two examples", "1"),
        "contrast_embedding": variable(
            (*both, "input"), embedding, "neuron embedding of each of these two examples", "activation"
        ),
        "contrast_input": variable(
            ("shown", "contrast_rank"), first, "inputs with the largest products in either, descending", "1"
        ),
        "contrast_input_share": variable(both, share, "share of the embedding's squared length in these inputs", "1"),
        "two_clusters_intra_distance": variable(
            by_embedding, intra, "mean cosine distance of two examples in one of the two largest clusters", "1"
        ),
        "two_clusters_inter_distance": variable(
            by_embedding, inter, "mean cosine distance of two examples in the two largest clusters", "1"
        ),
    }


def contrasted(embeddings: Float[np.ndarray, "example input"], central: Int[np.ndarray, " cluster"]) -> tuple[int, int]:
    """The central examples of the two largest clusters; where there is one cluster, its central example and the one
    with the least cosine to it."""
    one, *others = central[central >= 0].tolist()
    if others:
        return one, others[0]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return one, int((unit @ unit[one]).argmin())


def largest_inputs(pair: Float[np.ndarray, "2 input"]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `INPUTS` with the largest absolute values in either of two embeddings, largest first, and the share of the
    squared length of each that they hold."""
    order = np.argsort(-np.abs(pair).max(axis=0), kind="stable")[:INPUTS]
    return order, (pair[:, order] ** 2).sum(axis=1) / (pair**2).sum(axis=1)


def between_largest(
    distances: Float[np.ndarray, "example example"], cluster: Int[np.ndarray, " example"]
) -> tuple[float, float]:
    """Mean distance of all pairs of examples within the cluster 0 or within 1, and of all pairs of both; NaN where
    there is no such pair."""
    first, second = (np.flatnonzero(cluster == number) for number in (0, 1))
    within = [distances[np.ix_(of, of)][np.triu_indices(len(of), 1)] for of in (first, second)]
    return _mean(np.concatenate(within)), _mean(distances[np.ix_(first, second)])


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else np.nan
