"""The one pass over the eval activations: blocks of tokens with their active features.

Everything that needs a feature's activations takes them from here, so a dictionary encodes each token once. SAEs are
not encoded at all but searched (`polysem.saes.search`): what is found equals `SAE.encode` to float32 rounding, in less
time than the encoder's matrix product takes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.activations.rows import ActivationRows
from polysem.numerics.devices import Resolved
from polysem.saes.dictionary import Dictionary, Neurons
from polysem.saes.entries import SparseEntries
from polysem.saes.sae import SAE, normalized
from polysem.saes.search import listed_entries

ROWS = 8192
"""Tokens of a block, at most."""
NUMBERS = 1 << 24
"""Activations of neurons in a block, at most: 64 MiB."""
DENSE_NUMBERS = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Activations of features that are encoded at once where no search is possible, by type of device: 4 MiB stay in the
cache of a CPU, and a card is done with 256 MiB before Python has asked for the next."""
Search = Callable[[Float[Tensor, "token neuron"]], SparseEntries]


@dataclass(frozen=True)
class Block:
    """Consecutive tokens of an activation store and their active features; everything on the CPU."""

    first: int
    """Number of the first token in the store."""
    x: Float[Tensor, "token neuron"]
    """Activations as they are stored, float32."""
    entries: SparseEntries
    """Features above 0: row in the block, feature, value; by row, then by feature."""
    sequence: NDArray[np.int64]
    """Where each token stands in the token store."""
    position: NDArray[np.int64]
    """Where each token stands in its sequence."""

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return len(self.x)


def blocks(rows: ActivationRows, dictionary: Dictionary, device: Resolved = "cpu") -> Iterator[Block]:
    """All tokens of a store in their order. `device` is where the dictionary is."""
    find = search(dictionary, device)
    size = block_rows(rows.width, dictionary.features if isinstance(dictionary, SAE) else None)
    for start in range(0, rows.length, size):
        stop = min(start + size, rows.length)
        x = torch.from_numpy(rows.slice(start, stop))
        with torch.no_grad():
            entries = find(x)
        yield Block(start, x, entries, *rows.places(start, stop))


def block_rows(neurons: int, features: int | None) -> int:
    """Tokens of a block. Of neurons (no `features`) many are active, so their blocks are shorter."""
    return max(256, min(ROWS, NUMBERS // neurons if features else NUMBERS // 8 // neurons))


def search(dictionary: Dictionary, device: Resolved = "cpu") -> Search:
    """How the active features of tokens on the CPU are found; lists are on the CPU, too. What is asked for at once goes
    to a card together, and comes back together."""
    if isinstance(dictionary, SAE) and device == "cpu":
        return _search_of(dictionary)
    where = "cpu" if isinstance(dictionary, Neurons) else device  # there is nothing to compute of neurons

    def encoded(x: Float[Tensor, "token neuron"]) -> SparseEntries:
        size = max(64, DENSE_NUMBERS[where] // dictionary.features)
        found, there = [], x.to(where)
        for start in range(0, len(x), size):
            f = dictionary.encode(there[start : start + size])
            row, feature = torch.nonzero(f > 0, as_tuple=True)
            found.append((row + start, feature, f[row, feature]))
        row, feature, value = (torch.cat(part).cpu() for part in zip(*found, strict=True))
        return SparseEntries(row, feature, value, (len(x), dictionary.features))

    return encoded


def _search_of(sae: SAE) -> Search:
    W_enc = sae.W_enc.T.contiguous()
    bias = sae.encoder_bias
    rule = sae.activation.rule()

    def searched(x: Float[Tensor, "token neuron"]) -> SparseEntries:
        entries = listed_entries(normalized(x, sae.normalization)[0], W_enc, bias, rule)
        entries.value = sae.activation.of_active(entries.value, entries.feature)
        return entries.keep(entries.value > 0) if bool((entries.value <= 0).any()) else entries

    return searched
