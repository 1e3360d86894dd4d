"""Squared error and a penalty of the sizes of the features."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.relu.recipe import ReluRecipe
from polysem.saes.losses import Forward, Weights, pre_activations, ramp, reconstructing, sizes
from polysem.saes.penalties import EPSILON
from polysem.saes.sparsity_control import PenalisedLoss


class Loss(PenalisedLoss):
    """Features are the pre-activations above 0; their sizes are penalised."""

    def __init__(self, recipe: ReluRecipe) -> None:
        super().__init__(recipe, recipe.l1, recipe.l1_warmup, recipe.l1_decay)
        self._recipe = recipe
        self.hoyer = 0.0
        """Weight of the Hoyer term in this step."""

    @property
    def pays_roots(self) -> bool:
        """Whether sizes below 1 are paid by their roots."""
        return self._recipe.penalty in ("sqrt", "hoyer_sqrt")

    def begin(self, weights: Weights, progress: float) -> None:
        """Set the weights of the penalty; they rise from 0 at the start and may fall at the end."""
        super().begin(weights, progress)
        recipe = self._recipe
        if recipe.hoyer is not None:
            self.hoyer = recipe.hoyer * ramp(recipe.l1_warmup, recipe.l1_decay, progress)

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """See `BaseLoss`."""
        f = pre_activations(x, weights).relu()
        size = sizes(f, weights)
        paid = torch.where(size < 1, _root(size), size) if self.pays_roots else size
        penalty = self.weight * paid.sum(-1).mean()
        if self._recipe.hoyer is not None:
            ratio = size.sum(-1).square() / (size.square().sum(-1) + EPSILON)
            penalty = penalty + self.hoyer * ratio.mean()
        return reconstructing(f, target, weights, penalty=penalty)


def _root(size: Float[Tensor, "token feature"]) -> Float[Tensor, "token feature"]:
    """√size, and 0 with no slope for 0."""
    return torch.where(size > 0, (size.clamp_min(1e-30) + EPSILON).sqrt(), 0.0)
