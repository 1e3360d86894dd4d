"""Squared error of the largest features of a batch."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.batchtopk.recipe import BatchTopKRecipe
from polysem.saes.losses import BaseLoss, Forward, Weights, pre_activations, reconstructing
from polysem.saes.search import LargestOfBatch


class Loss(BaseLoss):
    """k features per token are active on average."""

    def __init__(self, recipe: BatchTopKRecipe) -> None:
        self.k = recipe.k

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """See `BaseLoss`."""
        pre = pre_activations(x, weights)
        return reconstructing(torch.where(LargestOfBatch(self.k).mask(pre), pre, 0.0), target, weights)
