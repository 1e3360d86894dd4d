"""S0.F1, S1.F1, S2.F3: on how many tokens each feature is active."""

from collections.abc import Iterable

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.saes.dictionary import Dictionary
from polysem.tables.labels import index, labelled, variable

ENTRIES = 1 << 20
"""Feature activations per block: 4 MiB of float32 stay in the cache between the encoder and the sums."""


def block_rows(features: int) -> int:
    """Rows of a block for a dictionary of so many features."""
    return max(64, min(4096, ENTRIES // features))


def feature_frequency(blocks: Iterable[NDArray[np.float32]], dictionary: Dictionary, device: str = "cpu") -> xr.Dataset:
    """How often and how strongly each feature is active (above 0), over blocks [token, neuron] of activations.

    Variables over `feature`: `frequency` (share of tokens), `active_tokens`, `mean_active` (over the active tokens, NaN
    if there is none), `max_activation` (0 for an SAE's feature that is never active). The attribute `tokens` is the
    number of tokens. Memory is bounded by features, not by tokens.
    Raises InputError if there are no tokens: a frequency needs a denominator.
    Source: documents S0 (section "Feature frequency") and S2 (the ultra-low cluster).
    """
    tokens = 0
    active = torch.zeros(dictionary.features, dtype=torch.float64, device=device)
    total = torch.zeros_like(active)
    largest = torch.full((dictionary.features,), -torch.inf, device=device)
    with torch.inference_mode():
        for block in blocks:
            f = dictionary.encode(torch.from_numpy(block).to(device))
            torch.maximum(largest, f.amax(dim=0), out=largest)
            positive = f.clamp(min=0)
            total += positive.sum(dim=0)
            active += positive.sign_().sum(dim=0)
            tokens += len(block)
    if not tokens:
        raise InputError("the activation store has no tokens; raise eval_tokens of the model's activations")
    return _table(tokens, active.cpu().numpy().astype(np.int64), total.cpu().numpy(), largest.cpu().numpy())


def _table(
    tokens: int, active: NDArray[np.int64], total: NDArray[np.float64], largest: NDArray[np.float32]
) -> xr.Dataset:
    mean = np.divide(total, active, out=np.full(len(active), np.nan), where=active > 0)
    variables = {
        "frequency": variable("feature", active / tokens, "share of tokens on which the feature is active", "1"),
        "active_tokens": variable("feature", active, "tokens on which the feature is active", "token"),
        "mean_active": variable("feature", mean, "mean activation over the tokens on which it is active", "activation"),
        "max_activation": variable("feature", largest, "largest activation", "activation"),
    }
    return labelled(variables, {"feature": index("feature", 0, len(active), "feature")}, {"tokens": tokens})
