"""JumpReLU, with one threshold for all features, as SAELens saves it."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.activation_functions.jumprelu import Function
from polysem.saes.architectures.matryoshka_batchtopk.recipe import MatryoshkaBatchTopKRecipe
from polysem.saes.calibration import exceeded_per_row
from polysem.saes.losses import Weights


def function(recipe: MatryoshkaBatchTopKRecipe, weights: Weights, rows: Float[Tensor, "row neuron"]) -> Function:
    """The threshold is the value that k features per token exceed on average on a sample of the training rows."""
    return Function(torch.full_like(weights["b_enc"], exceeded_per_row(rows, weights, recipe.k)))
