"""S0.F1, S1.F1, S2.F3: on how many tokens each feature is active, and how strongly."""

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.parts.token_tags import HALVES, held_out
from polysem.tables.passes.survey.blocks import Block

BINS_PER_OCTAVE = 4
LOWEST, HIGHEST = -80, 48
"""Quarters of octaves at which the histogram begins and ends: activations from 1e-6 to 4,096."""
BINS = HIGHEST - LOWEST
ROUNDING = 1e-12
"""A variance below this share of the mean square is that of a constant, but for rounding."""
MANTISSA_BITS = 23
QUARTERS = np.ceil((2.0 ** (np.arange(1, BINS_PER_OCTAVE) / BINS_PER_OCTAVE) - 1) * 2**MANTISSA_BITS).astype(np.int32)
"""The smallest mantissas of float32 numbers in the second, third and fourth quarter of an octave."""


def bin_edges() -> NDArray[np.float64]:
    """Edges of the histogram's bins, 2^(k/4)."""
    return 2.0 ** (np.arange(LOWEST, HIGHEST + 1) / BINS_PER_OCTAVE)


def bins(value: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin of each number above 0: the last one whose lower edge is not above it; the end bins take the rest.

    The number's bits are its octave and its place in it, which is exact and quicker than a logarithm.
    """
    bits = value.view(np.int32)
    octave = (bits >> MANTISSA_BITS) - 127
    mantissa = bits & (2**MANTISSA_BITS - 1)
    found = octave * BINS_PER_OCTAVE - LOWEST
    for least in QUARTERS:
        found += mantissa >= least
    return found.clip(0, BINS - 1)


class Frequency:
    """Counts, sums and a histogram of each feature's activations, added up over blocks."""

    def __init__(self, features: int, neurons: bool = False) -> None:
        """`neurons`: the features are the neurons themselves, whose largest activation may be below 0."""
        self._tokens = np.zeros(len(HALVES), np.int64)
        self._held_out = np.zeros(features, np.int64)
        self._neurons = neurons
        self._sum = np.zeros(features)
        self._squares = np.zeros(features)
        self._largest = np.full(features, -np.inf if neurons else 0.0, np.float32)
        self._histogram = np.zeros(features * BINS, np.int64)

    def add(self, block: Block) -> None:
        """Take the tokens of a block."""
        half_b = held_out(block.sequence)
        self._tokens += np.bincount(half_b, minlength=len(HALVES))
        feature, value = block.entries.feature.numpy(), block.entries.value.numpy()
        exact = value.astype(np.float64)
        self._sum += np.bincount(feature, exact, len(self._sum))
        self._squares += np.bincount(feature, np.square(exact, out=exact), len(self._sum))
        self._histogram += np.bincount(feature * BINS + bins(value), minlength=len(self._histogram))
        self._held_out += np.bincount(feature[half_b[block.entries.row.numpy()]], minlength=len(self._sum))
        if self._neurons:
            np.maximum(self._largest, block.x.amax(0).numpy(), out=self._largest)
        else:
            order, _, first = block.entries.by_feature
            active = torch.nonzero(block.entries.firings()).view(-1).numpy()
            if len(active):
                found = np.maximum.reduceat(value[order.numpy()], first.numpy()[active])
                self._largest[active] = np.maximum(self._largest[active], found)

    def table(self) -> xr.Dataset:
        """The table `frequency`.

        Over `feature`: `frequency` (share of tokens), `active_tokens`, `mean_active` (over the active tokens, NaN if
        there is none), `max_activation` (0 for an SAE's feature that is never active), `mean` and `standard_deviation`
        of the activation over all tokens, 0 where it is not active; over `feature` and `bin` between two values of
        `bin_edge`: `activation_histogram`, which counts active tokens; over `feature` and `half` (A, B; of whole
        sequences): `active_tokens_of_half`; over `half`: `tokens_of_half`. The attribute `tokens` is the number of
        tokens.
        Raises InputError if there are no tokens: a frequency needs a denominator.
        Source: documents S0 (section "Feature frequency") and S2 (the ultra-low cluster).
        """
        tokens = int(self._tokens.sum())
        if not tokens:
            raise InputError("the activation store has no tokens; raise eval_tokens of the model's activations")
        histogram = self._histogram.reshape(-1, BINS)
        active = histogram.sum(axis=1)
        mean_active = np.divide(self._sum, active, out=np.full(len(active), np.nan), where=active > 0)
        mean = self._sum / tokens
        square = self._squares / tokens
        variance = np.where(square - mean**2 > ROUNDING * square, square - mean**2, 0)
        feature = "feature"
        variables = {
            "frequency": variable(feature, active / tokens, "share of tokens on which the feature is active", "1"),
            "active_tokens": variable(feature, active, "tokens on which the feature is active", "token"),
            "active_tokens_of_half": variable(
                (feature, "half"),
                np.stack([active - self._held_out, self._held_out], axis=1),
                "tokens of a half on which the feature is active",
                "token",
            ),
            "tokens_of_half": variable("half", self._tokens, "tokens of sequences of a half", "token"),
            "mean_active": variable(
                feature, mean_active, "mean activation over the tokens on which it is active", "activation"
            ),
            "max_activation": variable(feature, self._largest, "largest activation", "activation"),
            "mean": variable(feature, mean, "mean activation over all tokens, 0 where not active", "activation"),
            "standard_deviation": variable(
                feature, np.sqrt(variance), "standard deviation of the activation over all tokens", "activation"
            ),
            "activation_histogram": variable(
                (feature, "bin"), histogram.astype(np.int32), "active tokens by activation", "token"
            ),
            "bin_edge": variable("edge", bin_edges(), "edges of the bins of activations", "activation"),
        }
        variables["activation_histogram"].encoding = {"zlib": True, "complevel": 1}
        coordinates = {
            feature: index(feature, 0, len(active), feature),
            "half": variable("half", HALVES, "half of the sequences, by a hash of their number", "1"),
        }
        return labelled(variables, coordinates, {"tokens": tokens})
