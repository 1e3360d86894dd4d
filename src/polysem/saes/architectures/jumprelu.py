"""JumpReLU with an L0 penalty, trained with straight-through gradients (Rajamanoharan et al. 2024)."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.jumprelu import JumpReluRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.jumprelu import Function
from polysem.saes.gradients import Gradients, Weights, add_encoder_gradients, decoder_gradients, search
from polysem.saes.method import BLOCK
from polysem.saes.search import Above
from polysem.saes.sparsity_control import Penalised


class Method(Penalised):
    """Each feature learns its threshold θ, which stays at 0 or above.

    f = pre where pre > θ. With the rectangle kernel K of a bandwidth ε, ∂f/∂θ = −θ/ε · K((pre − θ)/ε) and
    ∂[pre > θ]/∂θ = −1/ε · K((pre − θ)/ε): entries within ε/2 of the threshold move it. The paper trains log θ, by which
    Adam moves small thresholds hardly at all in a few thousand steps.

    Where L0 is steered, all thresholds of the finished SAE are moved by one number, with which as many features are
    active on a sample of the training rows as were asked for: a few hundred steps may end 15 % beside it.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, recipe.l0, recipe.l0_warmup)
        self._recipe = recipe
        self._shift = 0.0

    def extra_weights(self, features: int) -> dict[str, Tensor]:
        """`threshold`."""
        return {"threshold": torch.full((features,), self._recipe.threshold)}

    def gradients(
        self,
        x: Float[Tensor, "token neuron"],
        weights: Weights,
        progress: float,
        target: Float[Tensor, "token output"] | None = None,
    ) -> Gradients:
        """See `Method.gradients`."""
        recipe, threshold = self._recipe, weights["threshold"].clamp_(min=0)
        near = search(x, weights, Above((threshold - recipe.bandwidth / 2).clamp(min=0)))
        theta = near.of_feature(threshold)
        weight = self.penalty_weight(progress)
        active = near.value > theta
        f = near.where(active, near.value)
        wanted = x if target is None else target
        by_weight, residual, slope, terms = decoder_gradients(wanted, weights, near, f, penalties.none())
        inside = (near.value - theta).abs() < recipe.bandwidth / 2
        push = near.where(inside, slope * theta + weight / len(x)) / recipe.bandwidth
        by_weight["threshold"] = -near.per_feature(push)
        through = near.where(active, slope)
        if recipe.penalty_moves == "all":
            through = through + push
        add_encoder_gradients(by_weight, x, weights, near, through)
        on = near.keep(active)
        terms["penalty"] = weight * on.count() / len(x)
        return self.steered(Gradients(by_weight, on, residual, terms), progress)

    def calibrate(self, x: Float[Tensor, "token neuron"], weights: Weights) -> None:
        """Measure by how much thresholds have to move; they fall by half a bandwidth at most."""
        target = self._recipe.target_l0
        if target is None:
            return
        excess = torch.cat([self._excess(block, weights) for block in x.split(BLOCK)])
        surplus = len(excess) - round(target * len(x))
        self._shift = -self._recipe.bandwidth / 2 if surplus < 1 else float(excess.kthvalue(surplus).values)

    def _excess(self, x: Float[Tensor, "token neuron"], weights: Weights) -> Float[Tensor, " entry"]:
        """By how much pre-activations exceed their thresholds, from half a bandwidth below them on."""
        threshold = weights["threshold"].clamp(min=0)
        near = search(x, weights, Above((threshold - self._recipe.bandwidth / 2).clamp(min=0)))
        return (near.value - near.of_feature(threshold))[near.value > 0]

    def function(self, weights: Weights) -> Function:
        """JumpReLU with the learned thresholds."""
        return Function((weights["threshold"].clamp(min=0) + self._shift).clamp(min=0))
