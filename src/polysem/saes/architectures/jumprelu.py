"""JumpReLU with an L0 penalty, trained with straight-through gradients (Rajamanoharan et al. 2024)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.jumprelu import JumpReluRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.jumprelu import Function
from polysem.saes.gradients import Gradients, Weights, add_encoder_gradients, decoder_gradients, search
from polysem.saes.method import Plain, ramp
from polysem.saes.search import Above


class Method(Plain):
    """Each feature learns its threshold θ, as log θ.

    f = pre where pre > θ. With the rectangle kernel K of a bandwidth ε, ∂f/∂θ = −θ/ε · K((pre − θ)/ε) and
    ∂[pre > θ]/∂θ = −1/ε · K((pre − θ)/ε): entries within ε/2 of the threshold move it.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def extra_weights(self, features: int) -> dict[str, Tensor]:
        """`log_threshold`."""
        return {"log_threshold": torch.full((features,), math.log(self._recipe.threshold))}

    def gradients(self, x: Float[Tensor, "token neuron"], weights: Weights, progress: float) -> Gradients:
        """See `Method.gradients`."""
        recipe, threshold = self._recipe, weights["log_threshold"].exp()
        near = search(x, weights, Above((threshold - recipe.bandwidth / 2).clamp(min=0)))
        theta = near.of_feature(threshold)
        weight = recipe.l0 * ramp(recipe.l0_warmup, 0.0, progress)
        active = near.value > theta
        f = near.where(active, near.value)
        by_weight, residual, slope, terms = decoder_gradients(x, weights, near, f, penalties.none())
        inside = (near.value - theta).abs() < recipe.bandwidth / 2
        push = near.where(inside, slope * theta + weight / len(x))
        by_weight["log_threshold"] = near.per_feature(push) * (-threshold / recipe.bandwidth)
        add_encoder_gradients(by_weight, x, weights, near, near.where(active, slope))
        on = near.keep(active)
        terms["penalty"] = weight * on.count() / len(x)
        return Gradients(by_weight, on, residual, terms)

    def function(self, weights: Weights) -> Function:
        """JumpReLU with the learned thresholds."""
        return Function(weights["log_threshold"].exp())
