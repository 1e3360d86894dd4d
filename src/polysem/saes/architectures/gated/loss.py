"""Squared error, a penalty of the gates, and the squared error of what the gates alone reconstruct."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.gated.recipe import GatedRecipe
from polysem.saes.losses import Forward, Term, Weights, decoded, pre_activations, reconstructing, sizes, squared_error
from polysem.saes.sparsity_control import PenalisedLoss


class Loss(PenalisedLoss):
    """Loss per token: ‖x̂(f) − target‖² + l1 · Σ ReLU(gate) + ‖x̂(ReLU(gate)) − target‖², the last with a frozen decoder.

    `b_enc` is the bias of the gate.
    """

    TERMS: ClassVar[dict[str, Term]] = PenalisedLoss.TERMS | {
        "gate_error": Term("squared error of what the gates reconstruct, per token", "squared activation")
    }

    def __init__(self, recipe: GatedRecipe) -> None:
        super().__init__(recipe, recipe.l1, recipe.l1_warmup)

    def extra_weights(self, features: int) -> Weights:
        """`b_mag` and `r_mag`."""
        return {"b_mag": torch.zeros(features), "r_mag": torch.zeros(features)}

    def __call__(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Forward:
        """See `BaseLoss`."""
        gate = pre_activations(x, weights)
        magnitude = (gate - weights["b_enc"]) * weights["r_mag"].exp() + weights["b_mag"]
        open_gate = gate.relu()
        frozen = {"W_dec": weights["W_dec"].detach(), "b_dec": weights["b_dec"].detach()}
        return reconstructing(
            magnitude.relu() * (gate > 0),
            target,
            weights,
            penalty=self.weight * sizes(open_gate, weights).sum(-1).mean(),
            gate_error=squared_error(decoded(open_gate, frozen), target),
        )
