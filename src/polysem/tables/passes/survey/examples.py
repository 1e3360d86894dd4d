"""S0.F4, S1.F2: where each feature is most active, where else it is active, and what stands around these places."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.activations.rows import ActivationRows
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.tables.parts.labels import COMPRESSED, index, labelled, variable
from polysem.tables.passes.survey.best import Best
from polysem.tables.passes.survey.blocks import Block
from polysem.tables.passes.survey.frequency import BINS_PER_OCTAVE, bin_edges, bins
from polysem.tables.passes.survey.recording import SecondLook
from polysem.tables.passes.survey.windows import Tokens, Window, activations_around, places_of, tokens_around

Whole = NDArray[np.int64]


class Examples:
    """The top examples of every feature, and examples drawn uniformly from all tokens on which it is active.

    A draw gives every activation a number by hashing (feature, sequence, position, seed) and keeps the smallest, so it
    depends neither on blocks nor on what else the store holds.
    """

    def __init__(self, features: int, top: int, sampled: int, window: Window, seed: int) -> None:
        self._window = window
        self._seed = np.uint64(seed * int(GOLDEN) % 2**64)
        self._features = mixed(np.arange(features, dtype=np.uint64) + GOLDEN)
        self._top = Best(features, top)
        self._sample = Best(features, sampled)

    def add(self, block: Block) -> None:
        """Take the tokens of a block."""
        row, feature = block.entries.row.numpy(), block.entries.feature.numpy()
        value = block.entries.value.numpy()
        places = (block.sequence.astype(np.uint64) << np.uint64(32)) ^ block.position.astype(np.uint64)
        drawn = mixed(mixed(mixed(places + self._seed))[row] ^ self._features[feature])
        token = row + block.first
        self._top.add(-value.view(np.int32), feature, token, value)
        self._sample.add((drawn >> np.uint64(33)).astype(np.int32), feature, token, value)

    def table(self, frequency: xr.Dataset, rows: ActivationRows, again: SecondLook, tokens: Tokens) -> xr.Dataset:
        """The table `examples`.

        Over `example`: `kind` ("top" or "sample"); each kind is sorted by activation, largest first, earlier tokens
        first. Over (`feature`, `example`): `activation`, `sequence`, `position`, and for samples `quantile`, the share
        of the feature's active tokens with a smaller activation (of the histogram in the table `frequency`, evenly
        spread within a bin). Over (`feature`, `example`, `offset`): `token`, −1 outside of the sequence, and
        `window_activation` of the same feature, NaN at tokens that are not in the store. Where a feature is active on
        fewer tokens, the last examples of a kind are −1 and NaN. Images have no neighbours: only offset 0, token −1.
        """
        row, activation = self._sorted()
        window = self._window if tokens.is_text else Window(0, 0)
        sequence, position = places_of(rows, row.ravel())
        sequence, position = sequence.reshape(row.shape), position.reshape(row.shape)
        around = activations_around(row, window, again, rows)
        token = tokens_around(sequence, position, window, tokens)
        top, sampled = self._top.key.shape[1], self._sample.key.shape[1]
        quantile = np.full(row.shape, np.nan, np.float32)
        quantile[:, top:] = quantiles(activation[:, top:], frequency)
        both, all_three = ("feature", "example"), ("feature", "example", "offset")
        variables = {
            "kind": variable("example", ["top"] * top + ["sample"] * sampled, "how the example was chosen", "1"),
            "activation": variable(both, activation, "activation of the feature", "activation"),
            "sequence": variable(both, sequence.astype(np.int32), "sequence in the token store", "1"),
            "position": variable(both, position.astype(np.int32), "position in the sequence", "1"),
            "quantile": variable(both, quantile, "share of active tokens with a smaller activation", "1"),
            "token": variable(all_three, token, "token id", "1"),
            "window_activation": variable(all_three, around, "activation of the same feature", "activation"),
        }
        for name in ("token", "window_activation"):
            variables[name].encoding = dict(COMPRESSED)
        coordinates = {
            "feature": index("feature", 0, len(row), "feature"),
            "offset": index("offset", -window.before, window.after + 1, "tokens behind the example"),
        }
        return labelled(variables, coordinates, {"tokens": frequency.attrs["tokens"]})

    def _sorted(self) -> tuple[Whole, NDArray[np.float32]]:
        """Tokens and activations [feature, example], the samples in the order of the top examples."""
        sample = self._sample
        order = np.lexsort((sample.token, -np.nan_to_num(sample.value, nan=-1.0)))
        token, value = (np.take_along_axis(of, order, axis=1) for of in (sample.token, sample.value))
        return np.concatenate([self._top.token, token], axis=1), np.concatenate([self._top.value, value], axis=1)


def quantiles(activation: NDArray[np.float32], frequency: xr.Dataset) -> NDArray[np.float64]:
    """Share of each feature's active tokens with smaller activations [feature, example], NaN for NaN.

    The others in the same bin are taken to be spread evenly over its quarter of an octave.
    """
    histogram = frequency["activation_histogram"].values.astype(np.int64)
    below = np.cumsum(histogram, axis=1) - histogram
    known = np.isfinite(activation)
    value = np.where(known, activation, 1).astype(np.float32)
    place = bins(value.ravel()).reshape(value.shape)
    lower = bin_edges()[place]
    within = np.clip(BINS_PER_OCTAVE * np.log2(value / lower), 0, 1)
    feature = np.arange(len(value))[:, None]
    smaller = below[feature, place] + within * np.maximum(histogram[feature, place] - 1, 0)
    active = np.maximum(histogram.sum(axis=1), 1)[:, None]
    return np.where(known, smaller / active, np.nan)
