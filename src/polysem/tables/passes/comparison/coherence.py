"""How much the tokens on which a feature is most active agree (S0.X1)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.comparison.codes import Codes

TOP = 20
"""Tokens of the sample on which a feature is most active."""


@dataclass(frozen=True)
class Coherence:
    """What each feature's strongest tokens have in common."""

    share: Float[NDArray, " feature"]
    """Share of the `TOP` strongest tokens that are the most common token among them; NaN where fewer are active."""
    token: Int[NDArray, " feature"]
    """That token, the smallest id if several are as common; −1 where fewer tokens are active."""


def coherence(codes: Codes, tokens: Int[NDArray, " token"], top: int = TOP) -> Coherence:
    """Coherence of each feature; `tokens` are ids, or classes of images.

    Of equal activations the earlier token of the sample counts. Source: document S0, "Conclusion", the bug with layer-0
    activations: "they would all activate on a token like \\n".
    """
    matrix = codes.matrix
    share = np.full(codes.features, np.nan)
    token = np.full(codes.features, -1, np.int64)
    for feature in np.flatnonzero(codes.active >= top):
        where = slice(matrix.indptr[feature], matrix.indptr[feature + 1])
        rows, values = matrix.indices[where], matrix.data[where]
        strongest = rows[np.lexsort((rows, -values))[:top]]
        kinds, counts = np.unique(tokens[strongest], return_counts=True)
        share[feature], token[feature] = counts.max() / top, kinds[counts.argmax()]
    return Coherence(share, token)


def random_coherence(tokens: Int[NDArray, " token"], draws: int, seed: int, top: int = TOP) -> Float[NDArray, " draw"]:
    """The same share for `top` tokens that are drawn at random, without regard to any feature; NaN if there are
    fewer."""
    if len(tokens) < top:
        return np.full(draws, np.nan)
    generator = np.random.default_rng(seed)
    chosen = (tokens[generator.choice(len(tokens), top, replace=False)] for _ in range(draws))
    return np.array([np.unique(some, return_counts=True)[1].max() / top for some in chosen])
