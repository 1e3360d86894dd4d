"""TopK: the k largest pre-activations of a token stay, where they are above 0; no penalty."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.topk import TopKRecipe as Recipe
from polysem.saes.sae import Activation

__all__ = ["Recipe", "activation", "config", "from_config", "penalty"]


def activation(recipe: Recipe) -> Activation:
    """f = ReLU of the k largest pre-activations, 0 elsewhere."""
    return partial(keep_largest, k=recipe.k)


def keep_largest(pre: Float[Tensor, "*batch feature"], k: int) -> Float[Tensor, "*batch feature"]:
    """The k largest entries of the last dimension where they are above 0, and 0 elsewhere."""
    values, indices = pre.topk(min(k, pre.shape[-1]), dim=-1, sorted=False)
    return torch.zeros_like(pre).scatter(-1, indices, values.relu())


def penalty(f: Float[Tensor, "token feature"], recipe: Recipe, progress: float) -> Float[Tensor, ""]:
    """None: k bounds the number of active features."""
    return f.new_zeros(())


def config(recipe: Recipe) -> dict[str, Any]:
    """Name and k, as SAELens spells them."""
    return {"architecture": "topk", "k": recipe.k}


def from_config(config: dict[str, Any]) -> Activation:
    """The activation of a saved SAE."""
    return partial(keep_largest, k=int(config["k"]))
