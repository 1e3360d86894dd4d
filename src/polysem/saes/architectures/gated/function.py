"""The gate and the magnitude."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes.activation_functions.gated import Function
from polysem.saes.architectures.gated.recipe import GatedRecipe
from polysem.saes.losses import Weights


def function(recipe: GatedRecipe, weights: Weights, rows: Float[Tensor, "row neuron"]) -> Function:
    """With the learned tensors."""
    return Function(weights["b_enc"], weights["b_mag"], weights["r_mag"])
