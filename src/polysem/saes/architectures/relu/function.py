"""ReLU."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes.activation_functions.standard import Function
from polysem.saes.architectures.relu.recipe import ReluRecipe
from polysem.saes.losses import Weights


def function(recipe: ReluRecipe, weights: Weights, rows: Float[Tensor, "row neuron"]) -> Function:
    """The same whatever was trained."""
    return Function()
