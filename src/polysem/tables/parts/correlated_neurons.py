"""S1.F6: how well features correlate with their best neurons, and how much they weigh these."""

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.tables.parts.labels import variable

SAME = 0.9
"""Correlation above which a feature could be taken for the neuron."""
WEIGHTS = 1 << 22
"""Decoder weights that are compared at once: 16 MiB."""


def of_all_features(correlation: Float[np.ndarray, "feature rank"]) -> dict[str, xr.Variable]:
    """Over `rank`, of the correlations with the neuron of that rank: `correlated_features` (how many features have
    such a neuron), `neuron_correlation_median` over these (NaN if there are none), and how many of them are above
    `SAME`: `neuron_correlation_above_09`."""
    known = [column[np.isfinite(column)] for column in correlation.T]
    medians = np.array([np.median(column) if column.size else np.nan for column in known], correlation.dtype)
    return {
        "correlated_features": variable(
            "rank", [column.size for column in known], "features that a neuron of that rank correlates with", "feature"
        ),
        "neuron_correlation_median": variable(
            "rank", medians, "median over features: Pearson correlation with that neuron over all tokens", "1"
        ),
        "neuron_correlation_above_09": variable(
            "rank",
            [int((column > SAME).sum()) for column in known],
            f"features with a Pearson correlation with that neuron above {SAME}",
            "feature",
        ),
    }


def weight_ranks(decoder: Float[Tensor, "feature neuron"], neuron: NDArray[np.integer]) -> xr.Variable:
    """Over `feature`: the place of the decoder weight of one neuron each by size, 1 is the largest; of equal weights
    all have the best place; 0 for no neuron (−1)."""
    chosen = torch.from_numpy(neuron.astype(np.int64))
    found = []
    size = max(1, WEIGHTS // decoder.shape[1])
    for rows, of in zip(decoder.split(size), chosen.split(size), strict=True):
        weights = rows.abs()
        own = weights.gather(1, of.clamp(min=0)[:, None])
        found.append(torch.where(of >= 0, (weights > own).sum(1) + 1, 0))
    words = "place of the decoder weight of the neuron that correlates most, by size, 1 is the largest; 0: no neuron"
    return variable("feature", torch.cat(found).int().numpy(), words, "1")
