"""ReLU with an L1 penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.params.recipes.relu import ReluRecipe as Recipe
from polysem.saes.activation_functions.standard import Function
from polysem.saes.gradients import Penalty, Select

__all__ = ["Recipe", "activation", "penalty", "select"]


def activation(recipe: Recipe) -> Function:
    """f = ReLU(pre-activation)."""
    return Function()


def select(recipe: Recipe) -> Select:
    """All entries above 0."""
    return _positive


def _positive(pre: Float[Tensor, "row feature"]) -> Int[Tensor, " entry"]:
    return torch.nonzero(pre.view(-1) > 0).view(-1)


def penalty(recipe: Recipe, progress: float) -> Penalty:
    """The L1 norm times its weight, which rises from 0 over the first `l1_warmup` of training."""
    weight = recipe.l1 * min(1.0, progress / recipe.l1_warmup if recipe.l1_warmup else 1.0)
    return Penalty(lambda values: weight * values, lambda values: torch.full_like(values, weight))
