"""JumpReLU, with the learned thresholds."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.activation_functions.jumprelu import Function
from polysem.saes.architectures.jumprelu.recipe import JumpReluRecipe
from polysem.saes.calibration import BLOCK
from polysem.saes.gradients import search
from polysem.saes.losses import Weights
from polysem.saes.search import Above


def function(recipe: JumpReluRecipe, weights: Weights, rows: Float[Tensor, "row neuron"]) -> Function:
    """Where L0 is steered, all thresholds are moved by one number, with which as many features are active on a sample
    of the training rows as were asked for: a few hundred steps may end 15 % beside it. They fall by half a bandwidth at
    most."""
    threshold, shift = weights["threshold"].clamp(min=0), 0.0
    if recipe.target_l0 is not None:
        excess = torch.cat([_excess(block, weights, threshold, recipe.bandwidth) for block in rows.split(BLOCK)])
        surplus = len(excess) - round(recipe.target_l0 * len(rows))
        shift = -recipe.bandwidth / 2 if surplus < 1 else float(excess.kthvalue(surplus).values)
    return Function((threshold + shift).clamp(min=0))


def _excess(
    rows: Float[Tensor, "row neuron"], weights: Weights, threshold: Float[Tensor, " feature"], bandwidth: float
) -> Float[Tensor, " entry"]:
    """By how much pre-activations exceed their thresholds, from half a bandwidth below them on."""
    near = search(rows, weights, Above((threshold - bandwidth / 2).clamp(min=0)))
    return (near.value - near.of_feature(threshold))[near.value > 0]
