"""Squared errors of all prefixes of the features, of which the largest of a batch are active."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.matryoshka_batchtopk.recipe import MatryoshkaBatchTopKRecipe
from polysem.saes.losses import (
    SQUARED_ERROR,
    BaseLoss,
    Forward,
    Term,
    Weights,
    decoded,
    pre_activations,
    reconstructing,
    squared_error,
)
from polysem.saes.search import LargestOfBatch


class Loss(BaseLoss):
    """k features per token are active on average, chosen among all features; a prefix reconstructs with those of them
    that it has. Loss per token: Σ over prefixes of ‖f[:m] W_dec[:m] + b_dec − target‖², the whole among them."""

    TERMS: ClassVar[dict[str, Term]] = {
        "squared_error": SQUARED_ERROR,
        "prefix_error": Term("squared errors of all shorter prefixes, summed, per token", "squared activation"),
    }

    def __init__(self, recipe: MatryoshkaBatchTopKRecipe) -> None:
        self.k, self.sizes = recipe.k, recipe.sizes

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """See `BaseLoss`."""
        pre = pre_activations(x, weights)
        f = torch.where(LargestOfBatch(self.k).mask(pre), pre, 0.0)
        errors = []
        for size in self.sizes(f.shape[1])[:-1]:
            prefix = {"W_dec": weights["W_dec"][:size], "b_dec": weights["b_dec"]}
            errors.append(squared_error(decoded(f[:, :size], prefix), target))
        return reconstructing(f, target, weights, prefix_error=torch.stack(errors).sum())
