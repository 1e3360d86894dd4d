"""The dictionaries of several sites of a model side by side, on the same tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.activations.paired import require_alike, shared_rows
from polysem.activations.rows import ActivationRows
from polysem.io.stores import open_store, read_array
from polysem.io.tables import read_arrays
from polysem.numerics.exchange import exchanged
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import weights_around
from polysem.tables.passes.comparison.codes import Codes, encode, sampled_rows

Features = Int[NDArray, " feature"]


@dataclass(frozen=True)
class SideBySide:
    """Dictionaries whose features are numbered through, in the order of `each`, on a sample of the eval tokens."""

    each: Sequence[Inputs]
    """The inputs of each dictionary."""
    starts: Int[NDArray, " bound"]
    """The number of the first feature of each, and of all features."""
    codes: Codes
    token: Int[NDArray, " token"]
    """Token id, or class of the image."""
    position: Int[NDArray, " token"]
    """Where each token stands in its sequence."""

    @property
    def compared(self) -> Int[NDArray, " place"]:
        """How many features of each dictionary are comparable."""
        return np.add.reduceat(self.codes.comparable.astype(np.int64), self.starts[:-1])

    def place_of(self, features: Features) -> Features:
        """The numbers of the dictionaries that features are of."""
        return np.searchsorted(self.starts, features, side="right") - 1

    def number_in(self, features: Features) -> Features:
        """The numbers of features in their dictionaries."""
        return features - self.starts[self.place_of(features)]

    def order_within_positions(self, seed: int) -> Int[NDArray, " token"]:
        """Tokens in an order in which those of one position have changed places: what a feature knows of the position
        stays, and all else that it shares with another goes."""
        return exchanged(self.position, seed)

    def top_contexts(self, features: Features) -> Int[NDArray, "feature top"]:
        """Where features, in ascending order, are most active among all eval tokens: a number for each sequence and
        position, −1 behind the last; reads the tables `examples`."""
        found = []
        for number, its in enumerate(self.each):
            own = features[self.place_of(features) == number] - self.starts[number]
            table = read_arrays(its.table_file("examples"), {"kind", "sequence", "position"}.__contains__)
            top = table["kind"] == "top"
            sequence, position = (table[name][own][:, top].astype(np.int64) for name in ("sequence", "position"))
            found.append(np.where(sequence >= 0, (sequence << 32) + position, -1))
        return np.concatenate(found)

    def written(self, features: Features) -> Float[NDArray, "feature d_model"] | None:
        """What features write into the residual stream, NaN where that is not known; None if it is of none."""
        place, rows = self.place_of(features), None
        for number, its in enumerate(self.each):
            asked = np.flatnonzero(place == number)
            if not len(asked):
                continue
            dictionary = _dictionary(its)
            decoder = dictionary.decoder()[torch.from_numpy(features[asked] - self.starts[number])].cpu()
            found = weights_around(its).written(dictionary.target or its.site, decoder)
            if found is not None:
                rows = np.full((len(features), found.shape[1]), np.nan, np.float32) if rows is None else rows
                rows[asked] = found.numpy()
        return rows


def side_by_side(each: Sequence[Inputs], wanted: int) -> SideBySide:
    """Dictionaries of one model on `wanted` eval tokens, evenly spread, or on all if there are fewer; a token that is
    left out at one of their sites is left out.

    Reads `weights`, `store` and `tokens` of each. InputError unless the activations of all are of the same tokens.
    """
    stores = {its.path("store"): ActivationRows(its.path("store")) for its in each}
    (path, first), *others = stores.items()
    for other, rows in others:
        require_alike(path, first, other, rows)
    shared = shared_rows(list(stores.items()))
    chosen = sampled_rows(first.length if shared is None else len(shared[0]), wanted)
    numbers = {name: chosen if shared is None else shared[place][chosen] for place, name in enumerate(stores)}
    parts = [
        encode(stores[its.path("store")], numbers[its.path("store")], _dictionary(its), its.device) for its in each
    ]
    starts = np.cumsum([0, *(part.features for part in parts)])
    codes = Codes(sparse.hstack([part.matrix for part in parts], format="csc"))
    group = open_store(path)
    sequence, position = (
        np.asarray(read_array(group, name)[:], np.int64)[numbers[path]] for name in ("sequence", "position")
    )
    return SideBySide(each, starts, codes, _tokens(each[0], sequence, position), position)


def _dictionary(its: Inputs) -> Dictionary:
    return load_dictionary(its.path("weights"), ActivationRows(its.path("store")).width, its.device)


def _tokens(its: Inputs, sequence: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.int64]:
    group = open_store(its.path("tokens"))
    if "ids" not in group:
        return np.asarray(read_array(group, "labels")[:], np.int64)[sequence]
    return np.asarray(read_array(group, "ids")[:], np.int64)[sequence, position]
