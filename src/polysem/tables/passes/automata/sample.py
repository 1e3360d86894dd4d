"""Eval tokens in the order of their text, and the features that are active on them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.activations.rows import ActivationRows
from polysem.models.batches import TokenStore
from polysem.numerics.devices import Resolved
from polysem.numerics.transitions import FEWEST, Neighbours, neighbours
from polysem.saes.dictionary import Dictionary
from polysem.tables.passes.comparison.codes import sampled_rows
from polysem.tables.passes.survey.blocks import block_rows, search

MOST_FEATURES = 4096
"""Features that are traced, those that are active most often: what is counted of pairs of them takes 70 MB each."""


@dataclass(frozen=True)
class Sample:
    """Tokens of some sequences, all that the store has of them, in their order."""

    row: Int[np.ndarray, " token"]
    """Number in the activation store."""
    sequence: Int[np.ndarray, " token"]
    position: Int[np.ndarray, " token"]
    ids: Int[np.ndarray, "sequence position"]
    """All tokens of all sequences up to the last one, those that are in no store of activations included."""
    near: Neighbours
    """Which of the tokens stand behind each other."""

    @property
    def token(self) -> Int[NDArray, " token"]:
        """What each of them is."""
        return self.ids[self.sequence, self.position]


def sampled(rows: ActivationRows, store: TokenStore, wanted: int, bos: int | None) -> Sample:
    """About `wanted` tokens of the rows of a store: whole sequences, evenly spread; all if there are fewer.

    A document begins at a BOS token. In front of one nothing is followed by anything, nor at the end of a sequence.
    """
    sequence, position = rows.places(0, rows.length)
    every = np.unique(sequence)
    chosen = every[sampled_rows(len(every), max(1, round(len(every) * wanted / rows.length)))]
    row = np.flatnonzero(np.isin(sequence, chosen))
    sequence, position = sequence[row], position[row]
    ids = store.ids(0, int(every[-1]) + 1).astype(np.int64)
    begins = None if bos is None else ids[sequence, position] == bos
    return Sample(row, sequence, position, ids, neighbours(sequence, position, begins))


def active_features(rows: ActivationRows, sample: Sample, dictionary: Dictionary, device: Resolved) -> sparse.csc_array:
    """Activations of all features on the tokens [token, feature], those above 0."""
    find = search(dictionary, device)
    size = block_rows(rows.width, dictionary.features)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(sample.row), size):
            x = torch.from_numpy(rows.gather(sample.row[start : start + size]))
            entries = find(x)
            places = entries.row.numpy(), entries.feature.numpy()
            parts.append(sparse.csr_array((entries.value.numpy(), places), (len(x), dictionary.features)))
    return sparse.csc_array(sparse.vstack(parts, format="csc"))


def often_active(activations: sparse.csc_array) -> Int[NDArray, " feature"]:
    """Features that are active on at least `FEWEST` tokens, in their order; of more than `MOST_FEATURES` of them those
    that are most often."""
    active = np.diff(activations.indptr)
    order = np.argsort(-active, kind="stable")[:MOST_FEATURES]
    return np.sort(order[active[order] >= FEWEST])
