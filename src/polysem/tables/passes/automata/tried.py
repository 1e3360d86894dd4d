"""Edges that are tried out: does the model expect less of the second feature when the first is ablated?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.interventions.next_tokens import next_token_probabilities, random_directions
from polysem.models.subject import Subject
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.saes.dictionary import Dictionary
from polysem.tables.passes.automata.expected import TokenActivity
from polysem.tables.passes.automata.sample import Sample

DIRECTIONS = 19
"""Random directions: one in twenty features that do no more than these goes further than all of them."""
CONTEXTS, DRAWN = 4, 16
"""Texts at whose ends a feature is ablated, and places where it is active that are drawn, of which these are the ones
with the least text in front: what stands in front has to be run."""


@dataclass(frozen=True)
class Effect:
    """What is expected of the second feature of an edge, on average over the contexts."""

    contexts: int
    before: float
    after: float
    """With the first feature ablated."""
    random: Float[np.ndarray, " direction"]
    """With as much taken away along random directions."""

    @property
    def drop(self) -> float:
        """Share of the expected activity that ablation takes away; negative where it adds."""
        return 1 - self.after / self.before if self.before > 0 else float("nan")

    @property
    def random_drop(self) -> Float[NDArray, " direction"]:
        """The same of each random direction."""
        return 1 - self.random / self.before if self.before > 0 else np.full(len(self.random), np.nan)

    @property
    def confirmed(self) -> bool:
        """Whether ablation takes away something, and more than any random direction."""
        return bool(self.drop > 0 and self.drop > self.random_drop.max())


def tried(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    sample: Sample,
    activations: sparse.csc_array,
    activity: TokenActivity,
    edges: Sequence[tuple[int, int]],
    seed: int,
) -> dict[tuple[int, int], Effect]:
    """The effect of each edge (feature, feature it leads to), from the activations [token, feature] on the sample."""
    found: dict[tuple[int, int], Effect] = {}
    for source in sorted({source for source, _ in edges}):
        targets = np.array([target for of, target in edges if of == source])
        activation = activations[:, [source]].toarray()[sample.near.first, 0]
        on = contexts(activation, sample, source, seed)
        directions = random_directions(dictionary, source, DIRECTIONS, seed)
        total = np.zeros((2 + DIRECTIONS, len(targets)))
        for pair in on.tolist():
            place = sample.near.first[pair]
            ids = sample.ids[sample.sequence[place], : sample.position[place] + 1]
            probabilities = next_token_probabilities(
                subject,
                site,
                dictionary,
                source,
                float(activation[pair]),
                torch.from_numpy(ids),
                directions,
            )
            total += activity.expected(probabilities.cpu().numpy(), targets)
        for target, sums in zip(targets.tolist(), (total / max(1, len(on))).T, strict=True):
            found[source, target] = Effect(len(on), float(sums[0]), float(sums[1]), sums[2:])
    return found


def contexts(activation: Float[NDArray, " pair"], sample: Sample, feature: int, seed: int) -> Int[NDArray, " context"]:
    """Pairs of neighbours on whose first tokens a feature is active, at most `CONTEXTS`: of `DRAWN` that are drawn
    those that stand nearest to the beginning of their sequences."""
    pair = np.flatnonzero(activation > 0)
    place = sample.near.first[pair]
    with np.errstate(over="ignore"):
        key = mixed(np.array([seed], np.uint64) * GOLDEN + np.uint64(feature) + GOLDEN)
        key = mixed(key + sample.sequence[place].astype(np.uint64) * GOLDEN)
        key = mixed(key + sample.position[place].astype(np.uint64) * GOLDEN)
    drawn = pair[np.argsort(key, kind="stable")[:DRAWN]]
    return drawn[np.argsort(sample.position[sample.near.first[drawn]], kind="stable")[:CONTEXTS]]
