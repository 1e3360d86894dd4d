"""TopK: the k largest pre-activations of a token stay, where they are above 0; no penalty."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.params.recipes.topk import TopKRecipe as Recipe
from polysem.saes.activation_functions.topk import Function
from polysem.saes.gradients import Penalty, Select

__all__ = ["Recipe", "activation", "penalty", "select"]


def activation(recipe: Recipe) -> Function:
    """f = ReLU of the k largest pre-activations, 0 elsewhere."""
    return Function(recipe.k)


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
