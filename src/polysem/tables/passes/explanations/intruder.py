"""Whether embeddings tell an example on which a feature is not active from those on which it is."""

import numpy as np
from jaxtyping import Float, Int

from polysem.tables.passes.embeddings.entering import Entering
from polysem.tables.passes.explanations.drawing import OTHERS


def found_intruders(
    active: Int[np.ndarray, "feature active"],
    intruder: Int[np.ndarray, "feature trial"],
    feature: Int[np.ndarray, " feature"],
    entering: Entering,
    seed: int,
) -> tuple[Float[np.ndarray, " feature"], Int[np.ndarray, " feature"]]:
    """Share of the trials in which the intruder is found, and their number, of each feature; NaN where there are none.

    `active` and `intruder` are rows of the store, −1 for none. In each trial an intruder stands among `OTHERS` drawn
    active examples; it is found if its neuron embedding, what enters times the feature's weights, has the lowest mean
    cosine to the others. Source: Paulo & Belrose 2025 (intruder detection without explanations), with the neuron
    embeddings of document S3.
    """
    draw = np.random.default_rng(seed)
    share, trials = np.full(len(feature), np.nan), np.zeros(len(feature), np.int64)
    for number, of in enumerate(feature.tolist()):
        own, strangers = (rows[number][rows[number] >= 0] for rows in (active, intruder))
        if len(own) < OTHERS or not len(strangers):
            continue
        among = np.stack([draw.choice(len(own), OTHERS, replace=False) for _ in strangers])
        unit = _unit(entering.of(np.concatenate([own, strangers])) * entering.weights[of])
        group = np.concatenate([unit[: len(own)][among], unit[len(own) :, None]], axis=1)
        cosine = np.einsum("tid,tjd->tij", group, group)
        found = (cosine.sum(axis=2) - np.einsum("tii->ti", cosine)).argmin(axis=1) == OTHERS
        share[number], trials[number] = found.mean(), len(strangers)
    return share, trials


def _unit(vectors: Float[np.ndarray, "example input"]) -> Float[np.ndarray, "example input"]:
    """Of length 1; one that is 0 stays 0, which is at right angles to all."""
    vectors = vectors.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
