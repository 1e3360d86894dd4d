"""ReLU with an L1 penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.relu import ReluRecipe as Recipe
from polysem.saes.sae import Activation

__all__ = ["Recipe", "activation", "config", "from_config", "penalty"]


def activation(recipe: Recipe) -> Activation:
    """f = ReLU(pre-activation)."""
    return torch.relu


def penalty(f: Float[Tensor, "token feature"], recipe: Recipe, progress: float) -> Float[Tensor, ""]:
    """Per-token mean of the L1 norm times its weight, which rises from 0 over the first `l1_warmup` of training."""
    weight = recipe.l1 * min(1.0, progress / recipe.l1_warmup if recipe.l1_warmup else 1.0)
    return weight * f.sum(-1).mean()


def config(recipe: Recipe) -> dict[str, Any]:
    """SAELens calls this architecture `standard`."""
    return {"architecture": "standard"}


def from_config(config: dict[str, Any]) -> Activation:
    """ReLU; nothing in the config changes it."""
    return torch.relu
