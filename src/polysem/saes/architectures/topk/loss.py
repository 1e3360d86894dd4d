"""Squared error of the k largest features."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes.activation_functions.topk import Function
from polysem.saes.architectures.topk.recipe import TopKRecipe
from polysem.saes.losses import BaseLoss, Forward, Weights, pre_activations, reconstructing


class Loss(BaseLoss):
    """k bounds the number of active features of each token."""

    def __init__(self, recipe: TopKRecipe) -> None:
        self.k = recipe.k

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """See `BaseLoss`."""
        return reconstructing(Function(self.k)(pre_activations(x, weights)), target, weights)
