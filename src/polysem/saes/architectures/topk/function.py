"""TopK."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes.activation_functions.topk import Function
from polysem.saes.architectures.topk.recipe import TopKRecipe
from polysem.saes.losses import Weights


def function(recipe: TopKRecipe, weights: Weights, rows: Float[Tensor, "row neuron"]) -> Function:
    """The k largest, as in training."""
    return Function(recipe.k)
