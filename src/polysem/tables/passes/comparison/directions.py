"""Directions of two dictionaries against each other: nearest decoder rows, logit weights, ultra-low clusters."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Rows = Float[NDArray, "feature neuron"]
TILE = 2048
"""Rows of the left that are held against all of the right together."""


def unit_rows(rows: Rows) -> Rows:
    """Rows of norm 1 in float32; rows of zeros stay."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows, np.float32), where=norm > 0, casting="same_kind")


def nearest(left: Rows, right: Rows) -> tuple[Float[NDArray, " feature"], Int[NDArray, " feature"]]:
    """For each row of the left, the largest cosine with a row of the right, and which row that is (the first)."""
    ours, theirs = unit_rows(left), unit_rows(right).T
    cosine, feature = np.empty(len(ours), np.float32), np.empty(len(ours), np.int64)
    for start in range(0, len(ours), TILE):
        found = ours[start : start + TILE] @ theirs
        best = found.argmax(axis=1)
        feature[start : start + TILE] = best
        cosine[start : start + TILE] = found[np.arange(len(best)), best]
    return cosine, feature


def neurons_permuted(rows: Rows, seed: int) -> Rows:
    """Each row with its weights in an order of its own: as sparse and as skewed as before, and pointing nowhere."""
    return np.random.default_rng(seed).permuted(rows, axis=1)


def normal_rows(shape: tuple[int, ...], seed: int) -> Rows:
    """Rows of independent standard-normal weights."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def logit_correlation(
    left: Float[NDArray, "pair stream"],
    left_unembedding: Float[NDArray, "stream token"],
    right: Float[NDArray, "pair other_stream"],
    right_unembedding: Float[NDArray, "other_stream token"],
) -> Float[NDArray, " pair"]:
    """Pearson correlation over the vocabulary of the logit weights left·U and right·U′ of each pair of rows.

    The rows are what the features write to the residual streams of their models. With U centred over the tokens,
    cov(left·U, right·U′) = left (U U′ᵀ) right / tokens, so no logit weight has to be written out. NaN where one is the
    same for all tokens. Raises ValueError if the vocabularies differ in size.
    """
    if left_unembedding.shape[1] != right_unembedding.shape[1]:
        raise ValueError(
            f"logit weights over {left_unembedding.shape[1]:,} and {right_unembedding.shape[1]:,} tokens have no "
            "correlation"
        )
    ours, theirs = (
        unembedding.astype(np.float64) - unembedding.mean(axis=1, dtype=np.float64)[:, None]
        for unembedding in (left_unembedding, right_unembedding)
    )
    left, right = left.astype(np.float64), right.astype(np.float64)
    both = np.einsum("ps,ps->p", left @ (ours @ theirs.T), right)
    power = _quadratic(left, ours) * _quadratic(right, theirs)
    return np.divide(both, np.sqrt(power), out=np.full(len(both), np.nan), where=power > 0)


def _quadratic(rows: Float[NDArray, "pair stream"], centred: Float[NDArray, "stream token"]) -> Float[NDArray, " pair"]:
    return np.maximum(np.einsum("ps,ps->p", rows @ (centred @ centred.T), rows), 0)


def cosine(left: Float[NDArray, " neuron"], right: Float[NDArray, " neuron"]) -> float:
    """Cosine of two directions; NaN if one is zero or unknown."""
    size = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / size if size > 0 else float("nan")
