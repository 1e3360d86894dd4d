"""Which features and neurons a rubric sheet has, in an order that tells nothing, and what it shows of each."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.io.tables import read_arrays, read_table
from polysem.layout.annotations import weights_of
from polysem.layout.rubric import item_name
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.params.base import NEURONS
from polysem.tables.inputs import Inputs
from polysem.tables.parts.frequency_classes import is_ultra_low
from polysem.tables.parts.intervals import INTERVALS, first_of_equal, interval_of

FEATURE, NEURON = "feature", "neuron"
"""The kinds of items."""
PER_INTERVAL = 3
"""Examples of an item from each interval of its activation."""
NONE_ACTIVE = "no feature that is active often enough, or no such neuron"
NO_LOGITS = "there is no direct path to the logits, and the rubric asks about the tokens that an item makes likelier"


@dataclass(frozen=True)
class Item:
    """A feature or neuron, and what is shown of it: a place of each is −1, and a number NaN, where there is none."""

    name: str
    site: str
    dictionary: str
    feature: int
    frequency: float
    largest: float
    """Largest activation on the eval tokens."""
    interval: Int[np.ndarray, " example"]
    sequence: Int[np.ndarray, " example"]
    position: Int[np.ndarray, " example"]
    activation: Float[np.ndarray, " example"]
    token: Int[np.ndarray, "example offset"]
    window_activation: Float[np.ndarray, "example offset"]
    boosted: Int[np.ndarray, " rank"]
    """The tokens that its logit weights raise most."""

    @property
    def kind(self) -> str:
        """`FEATURE` or `NEURON`."""
        return NEURON if self.dictionary == NEURONS else FEATURE


def choose_items(relatives: Sequence[Inputs], count: int, below: float, seed: int) -> tuple[list[Item], list[str]]:
    """`count` features and as many neurons, in the order of their names, and sentences about sites left out.

    Features are of the first SAE of each site, neurons of the same sites, and each site has as many of both, or one
    more than the next. At a site they are drawn evenly along frequency (`drawn_features`); those that are never active
    or ultra-low, active on a smaller share of tokens than `below`, are not among them.
    """
    pairs, left_out = _pairs(relatives)
    usable: list[tuple[Inputs, Inputs]] = []
    for sae, neurons in pairs:
        if reason := next(filter(None, (_unusable(one, below) for one in (sae, neurons))), ""):
            left_out.append(f"{sae.site}: {reason}")
        else:
            usable.append((sae, neurons))
    items: list[Item] = []
    for number, pair in enumerate(usable):
        share = count // len(usable) + (number < count % len(usable))
        items += [item for one in pair for item in _items(one, share, below, seed)]
    return sorted(items, key=lambda one: one.name), left_out


def drawn_features(ranked: Int[np.ndarray, " feature"], count: int, seed: int) -> Int[np.ndarray, " drawn"]:
    """`count` of the features that are `ranked` by frequency, ascending; all where there are fewer.

    The ranks are cut into `count` parts of equal length, and one feature of each is drawn: that whose hash of number
    and seed is least.
    """
    if len(ranked) <= count:
        return np.sort(ranked)
    drawn = mixed(ranked.astype(np.uint64) + np.uint64((seed % 2**63 + 1) * int(GOLDEN) % 2**64))
    edges = np.linspace(0, len(ranked), count + 1).round().astype(np.int64)
    parts = itertools.pairwise(edges)
    return np.sort(np.array([ranked[low + np.argmin(drawn[low:high])] for low, high in parts], np.int64))


def chosen_examples(examples: xr.Dataset, largest: float, seed: int) -> Iterator[tuple[int, int]]:
    """The interval and the place of each example that is shown of a feature, whose row of the table is given.

    Up to `PER_INTERVAL` of each interval, the highest one first. Of an interval come first those of different
    sequences, in an order of the sequences that is drawn by hash; they are shown by falling activation.
    """
    activation, sequence, position = (examples[name].to_numpy() for name in ("activation", "sequence", "position"))
    there = np.isfinite(activation) & (activation > 0) & first_of_equal(sequence[None], position[None])[0]
    known = np.flatnonzero(there)
    interval = interval_of(activation[known], np.full(len(known), largest))
    drawn = mixed(sequence[known].astype(np.uint64) + np.uint64((seed % 2**63 + 1) * int(GOLDEN) % 2**64))
    for number in reversed(range(INTERVALS)):
        mine = np.flatnonzero(interval == number)
        mine = mine[np.lexsort((position[known[mine]], drawn[mine]))]
        again = np.ones(len(mine), bool)
        again[np.unique(sequence[known[mine]], return_index=True)[1]] = False
        chosen = known[mine[np.argsort(again, kind="stable")][:PER_INTERVAL]]
        for place in chosen[np.argsort(-activation[chosen], kind="stable")].tolist():
            yield number, place


def _pairs(relatives: Sequence[Inputs]) -> tuple[list[tuple[Inputs, Inputs]], list[str]]:
    """The first SAE and the neurons of each site that has an SAE; sentences about the others."""
    by_site: dict[str, list[Inputs]] = {}
    for one in relatives:
        by_site.setdefault(one.site, []).append(one)
    pairs, left_out = [], []
    for site, each in by_site.items():
        sae = next((one for one in each if one.place.dictionary != NEURONS), None)
        neurons = next((one for one in each if one.place.dictionary == NEURONS), None)
        if sae is None or neurons is None:
            left_out.append(f"{site}: there is no SAE")
        else:
            pairs.append((sae, neurons))
    return pairs, left_out


def _unusable(one: Inputs, below: float) -> str:
    """Why nothing of a dictionary can be on the sheet; '' where something can."""
    if not len(_ranked(one, below)):
        return NONE_ACTIVE
    return "" if len(_boosted(one)) else NO_LOGITS


def _ranked(one: Inputs, below: float) -> NDArray[np.int64]:
    """The features that can be drawn, by frequency."""
    frequency = one.table("frequency")
    active = frequency["active_tokens"].to_numpy()
    usable = (active > 0) & ~is_ultra_low(frequency, below)
    order = np.argsort(active, kind="stable")
    return order[usable[order]]


def _boosted(one: Inputs) -> NDArray[np.int64]:
    """The tokens that each feature makes likelier, [feature, rank]; none where there is no direct path."""
    path = one.table_file("logits")
    found = one.once(("boosted", path), lambda: read_arrays(path, "boosted_token".__eq__))
    return found.get("boosted_token", np.empty((0, 0))).astype(np.int64)


def _items(one: Inputs, count: int, below: float, seed: int) -> Iterator[Item]:
    own = seed + int.from_bytes(hashlib.sha256(one.place.path.encode()).digest()[:4])
    features = drawn_features(_ranked(one, below), count, own).tolist()
    frequency, boosted = one.table("frequency"), _boosted(one)
    examples = read_table(one.table_file("examples"), features=features)
    weights = weights_of(Path(one.place.tables_receipt))
    for row, feature in enumerate(features):
        largest = float(frequency["max_activation"].to_numpy()[feature])
        of = examples.isel(feature=row)
        shown = list(chosen_examples(of, largest, seed))
        places = np.array([place for _, place in shown], np.int64)

        def padded(name: str, missing: float, of: xr.Dataset = of, places: NDArray[np.int64] = places) -> NDArray:
            values = of[name].to_numpy()
            found = np.full((INTERVALS * PER_INTERVAL, *values.shape[1:]), missing, values.dtype)
            found[: len(places)] = values[places]
            return found

        interval = np.full(INTERVALS * PER_INTERVAL, -1)
        interval[: len(shown)] = [number for number, _ in shown]
        yield Item(
            item_name(one.place, feature, weights),
            one.site,
            one.place.dictionary,
            feature,
            float(frequency["frequency"].to_numpy()[feature]),
            largest,
            interval,
            padded("sequence", -1),
            padded("position", -1),
            padded("activation", np.nan),
            padded("token", -1),
            padded("window_activation", np.nan),
            boosted[feature],
        )
