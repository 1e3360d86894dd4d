"""TopK: the k largest pre-activations of a token stay, where they are above 0; no penalty."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.params.recipes.topk import TopKRecipe as Recipe
from polysem.saes.gradients import Penalty, Select
from polysem.saes.sae import Activation

__all__ = ["Recipe", "activation", "config", "from_config", "penalty", "select"]


def activation(recipe: Recipe) -> Activation:
    """f = ReLU of the k largest pre-activations, 0 elsewhere."""
    return partial(keep_largest, k=recipe.k)


def keep_largest(pre: Float[Tensor, "*batch feature"], k: int) -> Float[Tensor, "*batch feature"]:
    """The k largest entries of the last dimension where they are above 0, and 0 elsewhere."""
    values, indices = pre.topk(min(k, pre.shape[-1]), dim=-1, sorted=False)
    return torch.zeros_like(pre).scatter(-1, indices, values.relu())


def select(recipe: Recipe) -> Select:
    """The k largest entries of each row where they are above 0."""
    return partial(_largest, k=recipe.k)


def _largest(pre: Float[Tensor, "row feature"], k: int) -> Int[Tensor, " entry"]:
    indices = pre.topk(min(k, pre.shape[1]), dim=-1, sorted=False).indices.sort(dim=-1).values
    flat = (indices + torch.arange(len(pre))[:, None] * pre.shape[1]).view(-1)
    return flat[pre.view(-1)[flat] > 0]


def penalty(recipe: Recipe, progress: float) -> Penalty:
    """None: k bounds the number of active features."""
    return Penalty(torch.zeros_like, torch.zeros_like)


def config(recipe: Recipe) -> dict[str, Any]:
    """Name and k, as SAELens spells them."""
    return {"architecture": "topk", "k": recipe.k}


def from_config(config: dict[str, Any]) -> Activation:
    """The activation of a saved SAE."""
    return partial(keep_largest, k=int(config["k"]))
