"""Which features of a dictionary are ablated, and at which tokens: spread over the intervals of their activations."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.interventions.effects import Places
from polysem.models.batches import TokenStore
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.tables.parts.intervals import INTERVALS, first_of_equal, interval_of
from polysem.tables.passes.survey.examples import quantiles

SEQUENCES = 1024
"""Sequences whose ends are looked up at once."""


@dataclass(frozen=True)
class Spots:
    """The tokens at which some features are ablated; of one with fewer the last ones are −1."""

    feature: Int[np.ndarray, " chosen"]
    sequence: Int[np.ndarray, "chosen spot"]
    position: Int[np.ndarray, "chosen spot"]
    interval: Int[np.ndarray, "chosen spot"]
    example: Int[np.ndarray, "chosen spot"]
    """Which of the feature's examples each is."""
    active: Bool[np.ndarray, " chosen"]
    """Whether the feature is active on any token."""
    share: Float[np.ndarray, "chosen interval"]
    """Share of the feature's active tokens in each interval; NaN for one that is never active."""

    @property
    def known(self) -> Bool[np.ndarray, "chosen spot"]:
        """Which of them there are."""
        return self.sequence >= 0

    def places(self) -> Places:
        """Those there are, feature by feature."""
        return Places(self.sequence[self.known], self.position[self.known])


def chosen_features(frequency: xr.Dataset, count: int, shown: list[int]) -> Int[np.ndarray, " chosen"]:
    """All features, if they are no more than `count`; else so many that are active, at even steps of their ranks by
    frequency, and those that are shown."""
    active = frequency["active_tokens"].to_numpy()
    if len(active) <= count:
        return np.arange(len(active))
    ranked = np.argsort(active, kind="stable")[int((active == 0).sum()) :]
    steps = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(np.int64))
    return np.union1d(ranked[steps], np.array(shown, np.int64))


def choose_spots(
    feature: Int[np.ndarray, " chosen"],
    examples: xr.Dataset,
    frequency: xr.Dataset,
    tokens: TokenStore,
    count: int,
    seed: int,
) -> Spots:
    """Up to `count` tokens of each feature, out of its examples that something follows.

    One of each interval of its activation, the highest interval first, then a second one of each, and so on. Within an
    interval comes first what stands in the sequence that is first in a random order of all sequences, which is the same
    for all features: so many features share a context, and none is preferred.
    """
    activation, sequence, position = (
        examples[name].to_numpy()[feature] for name in ("activation", "sequence", "position")
    )
    largest = frequency["max_activation"].to_numpy()[feature].astype(np.float64)
    usable = np.isfinite(activation) & (activation > 0) & first_of_equal(sequence, position)
    usable[usable] = _followed(tokens, sequence[usable].astype(np.int64), position[usable].astype(np.int64))
    interval = np.zeros(activation.shape, np.int64)
    row, column = np.nonzero(usable)
    interval[row, column] = interval_of(activation[row, column], largest[row])
    drawn = mixed(sequence.astype(np.int64).view(np.uint64) + np.uint64((seed + 1) * int(GOLDEN) % 2**64))
    order = np.lexsort((position, drawn, np.where(usable, -interval, 1)), axis=1)
    chosen = np.full((4, len(feature), count), -1, np.int64)
    for number, places in enumerate(order):
        places = places[: int(usable[number].sum())]
        places = places[_one_of_each(interval[number, places])][:count]
        found = (sequence[number, places], position[number, places], interval[number, places], places)
        chosen[:, number, : len(places)] = np.stack(found)
    edges = largest[:, None] * np.arange(1, INTERVALS) / INTERVALS
    is_active = frequency["active_tokens"].to_numpy()[feature] > 0
    below = quantiles(np.where(is_active[:, None], edges, np.nan), frequency.isel(feature=feature))
    shares = np.diff(below, axis=1, prepend=0, append=1).clip(min=0)
    share = np.where(is_active[:, None], shares, np.nan)
    return Spots(feature, chosen[0], chosen[1], chosen[2], chosen[3], is_active, share)


def _one_of_each(sorted_interval: Int[np.ndarray, " place"]) -> NDArray[np.int64]:
    """The order of places that takes one of each interval, then a second one of each; they are sorted by interval."""
    first = np.searchsorted(-sorted_interval, -sorted_interval)
    return np.argsort(np.arange(len(sorted_interval)) - first, kind="stable")


def _followed(
    tokens: TokenStore, sequence: Int[np.ndarray, " place"], position: Int[np.ndarray, " place"]
) -> Bool[np.ndarray, " place"]:
    """Whether the model's prediction at a token can be held against what follows it."""
    found = np.zeros(len(sequence), bool)
    for first in range(0, tokens.sequences, SEQUENCES):
        here = np.flatnonzero((sequence >= first) & (sequence < first + SEQUENCES))
        if len(here):
            scored = tokens.batch(first, first + SEQUENCES).scored.numpy()
            found[here] = scored[sequence[here] - first, position[here]]
    return found
