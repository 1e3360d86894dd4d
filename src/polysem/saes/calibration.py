"""What finished SAEs need beside their weights, measured on a sample of the training rows."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.gradients import search
from polysem.saes.losses import Weights
from polysem.saes.search import LargestOfBatch

BLOCK = 1024
"""Rows at a time."""


def exceeded_per_row(rows: Float[Tensor, "row neuron"], weights: Weights, k: int) -> float:
    """The value that k pre-activations per row exceed on average; 0 where too few of them are above it."""
    values = torch.cat([_largest(block, weights, k) for block in rows.split(BLOCK)])
    wanted = k * len(rows)
    return float(values.kthvalue(len(values) - wanted).values) if len(values) > wanted else 0.0


def _largest(rows: Float[Tensor, "row neuron"], weights: Weights, k: int) -> Float[Tensor, " entry"]:
    """The largest pre-activations of some rows, twice as many as k per row."""
    value = search(rows, weights, LargestOfBatch(2 * k)).value
    return value[value > 0]
