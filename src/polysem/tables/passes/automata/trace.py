"""The automata of one dictionary: loops and chains of features that follow each other, with what is known of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.numerics.exchange import exchanged
from polysem.numerics.motifs import CHAIN, KINDS, LOOP, PAIR, chains, edges_of, loops_of_one, loops_of_two
from polysem.numerics.transitions import Transitions, transitions
from polysem.tables.passes.automata.expected import TokenActivity, compared_pairs, rank_correlation
from polysem.tables.passes.automata.sample import Sample, often_active
from polysem.tables.passes.automata.tried import Effect

LISTED = {LOOP: 5, PAIR: 2, CHAIN: 2}
"""Motifs of each kind that are listed and tried out, the strongest ones."""
TOKENS = 4
"""Tokens by which a feature is told apart."""
BINS = np.arange(-6.0, 6.5, 0.5)
"""Edges of the bins of lifts and predictions, as powers of 2; what lies beyond is in the outermost bins."""
Edge = tuple[int, int]


@dataclass(frozen=True)
class Motif:
    """A loop or a chain of features."""

    kind: str
    nodes: tuple[int, ...]

    @property
    def edges(self) -> list[Edge]:
        """From each feature to the next."""
        return edges_of(self.kind, self.nodes)


@dataclass(frozen=True)
class Node:
    """A feature of a motif."""

    active: int
    """Tokens of the sample on which it is."""
    strongest: Int[np.ndarray, " rank"]
    """Tokens that hold most of its activation, −1: none."""


@dataclass(frozen=True)
class Trace:
    """What is found in a dictionary; features are called by their numbers in it."""

    scalars: Mapping[str, float]
    found: Mapping[str, int]
    """Motifs of each kind, the listed ones and the others."""
    histogram: Int[np.ndarray, "prediction lift"]
    """Pairs of features by both, in `BINS`."""
    motifs: Sequence[Motif]
    numbers: Mapping[Edge, Mapping[str, float]]
    """Of each edge of these."""
    effects: Mapping[Edge, Effect]
    nodes: Mapping[int, Node]

    def is_confirmed(self, motif: Motif) -> bool:
        """Whether all its edges are."""
        return all(self.effects[edge].confirmed for edge in motif.edges)


Try = Callable[[sparse.csc_array, TokenActivity, Sequence[Edge]], dict[Edge, Effect]]
"""Tries edges out, from the activations [token, feature] and what they are on each token of the vocabulary."""


def traced(
    activations: sparse.csc_array,
    sample: Sample,
    boosted: Int[NDArray, "feature rank"] | None,
    vocabulary: int,
    try_out: Try,
    seed: int,
) -> Trace:
    """The automata of features with these activations [token, feature]; `boosted` are the tokens whose logits each
    raises most, None where weights do not tell."""
    chosen = often_active(activations)
    place = {int(feature): number for number, feature in enumerate(chosen)}
    near, activity = sample.near, TokenActivity.of(activations, sample.token, vocabulary)
    active = (activations[:, chosen] > 0).tocsr()
    followed = transitions(active[near.first], active[near.second], near.stretch, seed)
    found: dict[str, Sequence[tuple[int, ...]]] = {
        LOOP: loops_of_one(followed.edges, followed.strength),
        PAIR: loops_of_two(followed.moves, followed.strength),
        CHAIN: chains(followed.moves, followed.strength),
    }
    motifs = [
        Motif(kind, tuple(chosen[list(nodes)].tolist())) for kind in KINDS for nodes in found[kind][: LISTED[kind]]
    ]
    edges = list(dict.fromkeys(edge for motif in motifs for edge in motif.edges))
    predicted = (
        np.full(followed.count.shape, np.nan) if boosted is None else activity.chosen(chosen).predicted(boosted[chosen])
    )
    compared = compared_pairs(followed.expected, predicted)
    lift = followed.count.ravel()[compared] / followed.expected.ravel()[compared]
    return Trace(
        {
            "features": activations.shape[1],
            "traced": len(chosen),
            "edges": int(followed.edges.sum()),
            "moves": int(followed.moves.sum()),
            "chance_lift": followed.chance_lift,
            **_agreement(lift, predicted, compared, seed),
        },
        {kind: len(of) for kind, of in found.items()},
        _histogram(predicted.ravel()[compared], lift),
        motifs,
        {edge: _numbers(followed, predicted, place[edge[0]], place[edge[1]]) for edge in edges},
        try_out(activations, activity, edges),
        {
            node: Node(int(activations[:, [node]].nnz), activity.strongest(node, TOKENS))
            for node in sorted({node for motif in motifs for node in motif.nodes})
        },
    )


def _agreement(
    lift: Float[NDArray, " pair"],
    predicted: Float[NDArray, "feature other"],
    compared: Int[NDArray, " pair"],
    seed: int,
) -> dict[str, float]:
    """How well lifts agree with predictions, and with those of other features."""
    features = len(predicted)
    other = predicted[exchanged(np.zeros(features, np.int64), seed)[compared // features], compared % features]
    known = np.isfinite(other)
    return {
        "compared": len(compared),
        "lift_prediction_correlation": rank_correlation(predicted.ravel()[compared], lift),
        "lift_prediction_correlation_exchanged": rank_correlation(other[known], lift[known]),
    }


def _numbers(followed: Transitions, predicted: NDArray[np.floating], one: int, other: int) -> dict[str, float]:
    count, expected, in_stretch = (
        float(matrix[one, other]) for matrix in (followed.count, followed.expected, followed.expected_in_stretch)
    )
    return {
        "coincidences": count,
        "expected": expected,
        "lift": count / expected,
        "lift_in_document": count / in_stretch,
        "together": float(followed.together[one, other]),
        "strength": float(followed.strength[one, other]),
        "prediction": float(predicted[one, other]),
    }


def _histogram(predicted: NDArray[np.floating], lift: NDArray[np.floating]) -> Int[NDArray, "prediction lift"]:
    inner = np.exp2(BINS[1:-1])
    bins = len(BINS) - 1
    place = np.searchsorted(inner, predicted, side="right") * bins + np.searchsorted(inner, lift, side="right")
    return np.bincount(place, minlength=bins * bins).reshape(bins, bins)
