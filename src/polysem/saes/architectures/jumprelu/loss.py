"""Squared error and the number of active features, with straight-through derivatives by the thresholds."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.jumprelu.recipe import JumpReluRecipe
from polysem.saes.losses import Forward, Weights, pre_activations, reconstructing
from polysem.saes.sparsity_control import PenalisedLoss


class Loss(PenalisedLoss):
    """Each feature learns its threshold θ, which stays at 0 or above.

    f = pre where pre > θ. With the rectangle kernel K of a bandwidth ε, ∂f/∂θ = −θ/ε · K((pre − θ)/ε) and
    ∂[pre > θ]/∂θ = −1/ε · K((pre − θ)/ε): entries within ε/2 of the threshold move it. With `penalty_moves: all` they
    are moved by the opposite themselves. The paper trains log θ, by which Adam moves small thresholds hardly at all in
    a few thousand steps.
    """

    def __init__(self, recipe: JumpReluRecipe) -> None:
        super().__init__(recipe, recipe.l0, recipe.l0_warmup)
        self.bandwidth, self._first = recipe.bandwidth, recipe.threshold
        self.moves_all = recipe.penalty_moves == "all"

    def extra_weights(self, features: int) -> Weights:
        """`threshold`."""
        return {"threshold": torch.full((features,), self._first)}

    def begin(self, weights: Weights, progress: float) -> None:
        """Thresholds below 0 go back to 0."""
        super().begin(weights, progress)
        weights["threshold"].clamp_(min=0)

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """See `BaseLoss`."""
        entries = (pre_activations(x, weights), weights["threshold"], self.bandwidth, self.moves_all)
        penalty = self.weight * Step.apply(*entries).sum(-1).mean()
        return reconstructing(Jump.apply(*entries), target, weights, penalty=penalty)


class Jump(torch.autograd.Function):
    """pre where it is above θ, else 0."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, theta: Tensor, bandwidth: float, moves_all: bool) -> Tensor:
        """The features."""
        ctx.save_for_backward(pre, theta)
        ctx.bandwidth, ctx.moves_all = bandwidth, moves_all
        return pre * (pre > theta)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Derivatives by pre and by θ."""
        pre, theta = ctx.saved_tensors
        moved = theta / ctx.bandwidth * _near(pre, theta, ctx.bandwidth) * slope
        return slope * (pre > theta) + ctx.moves_all * moved, -moved.sum(0), None, None


class Step(torch.autograd.Function):
    """1 where pre is above θ, else 0."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, theta: Tensor, bandwidth: float, moves_all: bool) -> Tensor:
        """Which features are active."""
        ctx.save_for_backward(pre, theta)
        ctx.bandwidth, ctx.moves_all = bandwidth, moves_all
        return (pre > theta).to(pre.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Derivatives by pre and by θ."""
        pre, theta = ctx.saved_tensors
        moved = _near(pre, theta, ctx.bandwidth) * slope / ctx.bandwidth
        return ctx.moves_all * moved, -moved.sum(0), None, None


def _near(pre: Tensor, theta: Tensor, bandwidth: float) -> Tensor:
    """The entries that move their threshold."""
    return ((pre - theta).abs() < bandwidth / 2) & (pre > 0)
