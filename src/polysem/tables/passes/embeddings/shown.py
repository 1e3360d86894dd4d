"""The few features of a dictionary whose clusters are drawn, with all that a drawing needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.numerics.plane import plane
from polysem.tables.parts.labels import variable
from polysem.tables.passes.embeddings.contrast import contrast_variables
from polysem.tables.passes.embeddings.entering import Entering
from polysem.tables.passes.embeddings.measured import EMBEDDINGS, Around, embedding_distances, grouped
from polysem.tables.passes.embeddings.strong_examples import StrongExamples

SHOWN = 6
ENOUGH = 20
"""Examples of a feature that is shown as tight."""
RARE_EXAMPLES = 3
"""Examples of a rare behaviour that tell what it is."""


@dataclass(frozen=True)
class Shown:
    """Features to show, and what each is shown for."""

    feature: list[int]
    reason: list[str]


@dataclass(frozen=True)
class ShownGroups:
    """The clusters of the examples of features to show."""

    cluster: Int[np.ndarray, "shown example"]
    """Of each example, the largest 0; −1 behind the last example."""
    central: Int[np.ndarray, "shown cluster"]
    """The central example of each of the first clusters, −1: no such cluster."""


def shown_features(
    size: NDArray[np.int64],
    measures: Mapping[str, NDArray],
    clusters: NDArray[np.int32],
    rare: NDArray[np.bool_],
    frequency: NDArray[np.float64],
    counted: NDArray[np.bool_],
) -> Shown:
    """Up to `SHOWN` of the features that are `counted`, the lower one first among equals: two with the largest second
    cluster, two with the largest share in one cluster that is not all (S3.F3), those with a second cluster of at least
    `RARE_EXAMPLES` first, and one each with most clusters, with the least mean distance of at least `ENOUGH` examples,
    and with most examples (of these the most frequent).
    """
    second, share = clusters[:, 1], clusters[:, 0] / np.maximum(size, 1)
    enough = counted & (size >= ENOUGH)
    wishes = [
        ("two clusters", second + _fraction(measures["silhouette"]), counted & (second > 1), 2),
        ("rare secondary behaviour", (second >= RARE_EXAMPLES) + share, counted & rare, 2),
        ("most clusters", measures["clusters"], counted & (measures["clusters"] > 1), 1),
        ("tightest", -measures["mean_distance"], enough, 1),
        ("most examples", size + _fraction(frequency), counted, 1),
    ]
    chosen: dict[int, str] = {}
    for reason, by, possible, count in wishes:
        candidates = np.flatnonzero(possible)
        best = candidates[np.argsort(-by[candidates], kind="stable")]
        for feature in [one for one in best.tolist() if one not in chosen][:count]:
            chosen[feature] = reason
    return Shown(list(chosen)[:SHOWN], list(chosen.values())[:SHOWN])


def _fraction(values: NDArray) -> NDArray[np.float64]:
    """Numbers from −1 to 1 as a fraction that settles ties."""
    return np.nan_to_num(np.asarray(values, np.float64), nan=-1) * 0.49


def shown_variables(
    shown: Shown,
    examples: StrongExamples,
    clusters: ShownGroups,
    around: Around,
    token: NDArray[np.int32],
    window: NDArray[np.float32],
    entering: Entering,
    cut: float,
) -> dict[str, xr.Variable]:
    """Variables along `shown`, of the examples of these features alone: what stands around them, what enters, how they
    are joined, and what `contrast` says of two of them. Raises ValueError if there are none."""
    if not shown.feature:
        raise ValueError("no feature is shown")
    size, weights = examples.size, entering.weights[shown.feature]
    distances = embedding_distances(examples.token, around, entering, weights)
    groups = {of: grouped(distances[of], size, cut) for of in EMBEDDINGS}
    planes = np.full((len(shown.feature), len(EMBEDDINGS), examples.token.shape[1], 2), np.nan, np.float32)
    for place, of in enumerate(EMBEDDINGS):
        for feature, count in enumerate(size.tolist()):
            apart = distances[of][feature, :count, :count]
            if np.isfinite(apart).all():
                planes[feature, place, :count] = plane(apart)
    key = entering.of(np.maximum(examples.token, 0).ravel()).reshape(*examples.token.shape, -1)
    key[examples.token < 0] = np.nan
    both = ("shown", "example")
    return {
        "shown_feature": variable("shown", np.array(shown.feature, np.int32), "feature shown", "1"),
        "shown_for": variable("shown", np.array(shown.reason, object), "what the feature is shown for", "1"),
        "token": variable((*both, "offset"), token, "token id", "1"),
        "window_activation": variable((*both, "offset"), window, "activation of the same feature", "activation"),
        "linkage": variable(
            ("shown", "merge", "column"),
            groups["neuron"].merges,
            "average linkage: two clusters, their distance, examples in both",
            "1",
        ),
        "entering": variable((*both, "input"), key, "what enters the feature at the key token", "activation"),
        "weight": variable(("shown", "input"), weights, f"the feature's {entering.kind}", "weight"),
        "plane": variable(("shown", "embedding", "example", "axis"), planes, "cosine distances in the plane", "1"),
        **contrast_variables(
            {of: distances[of] for of in EMBEDDINGS}, clusters.cluster, clusters.central, key, weights
        ),
    }
