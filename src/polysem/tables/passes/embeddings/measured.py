"""The clusters of all features of a dictionary, under each embedding and of random tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.numerics.cluster_measures import MEASURES, cluster_measures
from polysem.numerics.linkage import average_linkage, cosine_distances, cut_clusters
from polysem.tables.passes.embeddings.entering import Entering
from polysem.tables.passes.embeddings.first_clusters import CLUSTERS, MEMBERS, FirstClusters, first_clusters
from polysem.tables.passes.embeddings.strong_examples import StrongExamples
from polysem.tables.passes.embeddings.windows import random_tokens

EMBEDDINGS = ("neuron", "input", "weighted")
RANDOM = "random"
NUMBERS = 1 << 21
"""Numbers of vectors that are held at once for one embedding: 8 MiB."""
FEATURES = 128
"""Features whose distances are held at once."""
IDENTICAL = 1e-6
"""Distances of identical examples in float32, at most."""


@dataclass(frozen=True)
class Around:
    """Tokens up to each key token of some features, and the feature's activation there."""

    row: Int[np.ndarray, "feature example offset"]
    """Number in the store; −1 for a token that is not there."""
    activation: Float[np.ndarray, "feature example offset"]


@dataclass(frozen=True)
class Grouped:
    """Some features under one embedding."""

    distances: Float[np.ndarray, "feature example example"]
    merges: Float[np.ndarray, "feature merge 4"]
    cluster: Int[np.ndarray, "feature example"]


@dataclass(frozen=True)
class Clustered:
    """What is known of the clusters of features."""

    measures: Mapping[str, Mapping[str, NDArray]]
    """Of each of `EMBEDDINGS`, and `RANDOM`, the measures [feature]; NaN, and 0 clusters, below two examples."""
    cluster: Int[np.ndarray, "embedding feature example"]
    """Cluster of each example, −1: none."""
    first: FirstClusters


def grouped(
    distances: Float[np.ndarray, "feature example example"], size: Int[np.ndarray, " feature"], cut: float
) -> Grouped:
    """Features whose first `size` examples lie so far apart, clustered by average linkage."""
    merges = average_linkage(distances, size)
    return Grouped(distances, merges, cut_clusters(merges, size, cut))


def clustered(
    examples: StrongExamples, around: Around, entering: Entering, cut: float, seed: int, first_feature: int = 0
) -> Clustered:
    """Cluster the examples of features `first_feature`, … under each embedding, a few features at a time.

    The random baseline has as many random tokens of the store, the same weights, and the embedding "neuron".
    """
    features, width = examples.token.shape
    size = examples.size
    measures = {
        of: {
            name: np.zeros(features, np.int32) if name == "clusters" else np.full(features, np.nan, np.float32)
            for name in MEASURES
        }
        for of in (*EMBEDDINGS, RANDOM)
    }
    cluster = np.full((len(EMBEDDINGS), features, width), -1, np.int16)
    first = FirstClusters(
        np.zeros((features, CLUSTERS), np.int32), np.full((features, CLUSTERS, MEMBERS), -1, np.int16)
    )
    for part in parts(size):
        count, longest = size[part], int(size[part].max())
        distances = {of: np.empty((len(part), longest, longest), np.float32) for of in (*EMBEDDINGS, RANDOM)}
        for piece in pieces(len(part), longest * entering.inputs):
            few = part[piece]
            near = Around(around.row[few, :longest], around.activation[few, :longest])
            drawn = random_tokens(few + first_feature, size[few], longest, entering.rows.length, seed)
            apart = embedding_distances(
                examples.token[few, :longest], near, entering, entering.weights[few + first_feature], drawn
            )
            for of, values in apart.items():
                distances[of][piece] = values
        groups = {of: grouped(values, count, cut) for of, values in distances.items()}
        for of, group in groups.items():
            for name, values in cluster_measures(group.distances, group.cluster).items():
                measures[of][name][part] = values
        for place, of in enumerate(EMBEDDINGS):
            cluster[place, part, :longest] = groups[of].cluster
        found = first_clusters(groups["neuron"].distances, groups["neuron"].cluster)
        first.size[part], first.example[part] = found.size, found.example
    return Clustered(measures, cluster, first)


def joined(found: Sequence[Clustered]) -> Clustered:
    """What was found of some features and then of others, of all of them."""
    measures = {
        of: {name: np.concatenate([one.measures[of][name] for one in found]) for name in MEASURES}
        for of in (*EMBEDDINGS, RANDOM)
    }
    size = np.concatenate([one.first.size for one in found])
    first = FirstClusters(size, np.concatenate([one.first.example for one in found]))
    return Clustered(measures, np.concatenate([one.cluster for one in found], axis=1), first)


def parts(size: Int[np.ndarray, " feature"]) -> Iterator[NDArray[np.int64]]:
    """Features with two examples or more, `FEATURES` at a time, those with most first."""
    order = np.argsort(-size, kind="stable")[: int((size > 1).sum())]
    for start in range(0, len(order), FEATURES):
        yield order[start : start + FEATURES]


def pieces(features: int, numbers: int) -> Iterator[slice]:
    """As many features at once as their vectors, of so many numbers each, are meant to take in memory."""
    step = max(1, NUMBERS // numbers)
    for start in range(0, features, step):
        yield slice(start, min(start + step, features))


def embedding_distances(
    token: Int[np.ndarray, "feature example"],
    around: Around,
    entering: Entering,
    weights: Float[np.ndarray, "feature input"],
    random: Int[np.ndarray, "feature example"] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Cosine distances of the examples of some features under each embedding, and of `random` tokens."""
    key, together, drawn = vectors(token, around, np.zeros_like(token) if random is None else random, entering)
    found = {
        "neuron": cosine_distances(key, weights),
        "input": cosine_distances(key),
        "weighted": cosine_distances(together, weights),
    }
    return found if random is None else found | {RANDOM: cosine_distances(drawn, weights)}


def vectors(
    token: Int[np.ndarray, "feature example"],
    around: Around,
    random: Int[np.ndarray, "feature example"],
    entering: Entering,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What enters at each key token, on the mean over the tokens up to it, weighted by activation, and at the random
    tokens, each [feature, example, input]. Behind the last example it is anything."""
    counted = (around.row >= 0) & (np.nan_to_num(around.activation) > 0)
    needed, place = np.unique(
        np.concatenate([np.maximum(token, 0).ravel(), random.ravel(), around.row[counted]]), return_inverse=True
    )
    table = entering.of(needed)
    at_key, at_random, near = np.split(place, (token.size, 2 * token.size))
    bags = counted.reshape(token.size, -1).sum(axis=1)
    weight = around.activation[counted] / np.repeat(
        np.where(counted, around.activation, 0).reshape(token.size, -1).sum(axis=1), bags
    )
    mean = F.embedding_bag(
        torch.from_numpy(near),
        torch.from_numpy(table),
        torch.from_numpy(np.cumsum(bags) - bags),
        mode="sum",
        per_sample_weights=torch.from_numpy(weight.astype(np.float32)),
    ).numpy()
    shape = (*token.shape, entering.inputs)
    return table[at_key].reshape(shape), mean.reshape(shape), table[at_random].reshape(shape)


def states(size: NDArray[np.int64], distance: NDArray[np.float32], largest: NDArray[np.float32]) -> NDArray[np.object_]:
    """The state of each feature, from its examples, their largest distance and its largest activation."""
    found = np.full(len(size), "clustered", object)
    found[distance <= IDENTICAL] = "identical examples"
    found[~np.isfinite(distance)] = "not a number"
    found[size == 1] = "one example"
    found[size == 0] = "never active"
    found[~np.isfinite(largest)] = "not a number"
    return found
