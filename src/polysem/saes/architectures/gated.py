"""Gated SAE: one affine map decides whether a feature is active, another how strongly (Rajamanoharan et al. 2024)."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.gated import GatedRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.gated import Function
from polysem.saes.gradients import (
    Gradients,
    Weights,
    add_encoder_gradients,
    add_penalty,
    decoder_gradients,
    reconstruction,
    search,
)
from polysem.saes.search import Above
from polysem.saes.sparsity_control import Penalised


class Method(Penalised):
    """Loss per token: ‖x − x̂(f)‖² + l1 · Σ ReLU(gate) + ‖x − x̂(ReLU(gate))‖², the last with a frozen decoder.

    `b_enc` is the bias of the gate.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, recipe.l1, recipe.l1_warmup)

    def extra_weights(self, features: int) -> dict[str, Tensor]:
        """`b_mag` and `r_mag`."""
        return {"b_mag": torch.zeros(features), "r_mag": torch.zeros(features)}

    def gradients(self, x: Float[Tensor, "token neuron"], weights: Weights, progress: float) -> Gradients:
        """See `Method.gradients`."""
        tokens = len(x)
        gate = search(x, weights, Above())
        scale = gate.of_feature(weights["r_mag"].exp())
        projection = (gate.value - gate.of_feature(weights["b_enc"])) * scale
        magnitude = projection + gate.of_feature(weights["b_mag"])
        active = magnitude > 0
        f = gate.where(active, magnitude)
        by_weight, residual, slope, terms = decoder_gradients(x, weights, gate, f, penalties.none())
        slope = gate.where(active, slope)
        by_weight["r_mag"], by_weight["b_mag"] = gate.per_feature(slope * projection), gate.per_feature(slope)

        missed, gate_slope = reconstruction(x, weights, gate, gate.value)
        penalty = penalties.l1(self.penalty_weight(progress))
        terms["penalty"] = add_penalty(by_weight, gate_slope, weights, gate, gate.value, penalty, tokens)
        terms["auxiliary"] = float(missed.square().sum()) / tokens
        add_encoder_gradients(by_weight, x, weights, gate, gate_slope + slope * scale)
        by_weight["b_enc"] = gate.per_feature(gate_slope)
        return self.steered(Gradients(by_weight, gate.keep(active), residual, terms), progress)

    def function(self, weights: Weights) -> Function:
        """The gate and the magnitude."""
        return Function(weights["b_enc"], weights["b_mag"], weights["r_mag"])
