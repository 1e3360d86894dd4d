"""The gradients of the loss over features whose gates are open."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes import penalties
from polysem.saes.architectures.gated.loss import Loss
from polysem.saes.gradients import (
    Gradients,
    add_encoder_gradients,
    add_penalty,
    decoder_gradients,
    reconstruction,
    search,
)
from polysem.saes.losses import Weights
from polysem.saes.readings import reading
from polysem.saes.search import Above


def gradients(
    loss: Loss, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
) -> Gradients:
    """See `polysem.saes.architecture.FastPath`."""
    tokens = len(x)
    gate = search(x, weights, Above())
    scale = gate.of_feature(weights["r_mag"].exp())
    projection = (gate.value - gate.of_feature(weights["b_enc"])) * scale
    magnitude = projection + gate.of_feature(weights["b_mag"])
    active = magnitude > 0
    f = gate.where(active, magnitude)
    by_weight, residual, slope, terms = decoder_gradients(target, weights, gate, f)
    slope = gate.where(active, slope)
    by_weight["r_mag"], by_weight["b_mag"] = gate.per_feature(slope * projection), gate.per_feature(slope)

    missed, gate_slope = reconstruction(target, weights, gate, gate.value)
    penalty = penalties.l1(loss.weight)
    terms["penalty"] = add_penalty(by_weight, gate_slope, weights, gate, gate.value, penalty, tokens)
    terms["gate_error"] = reading(missed.square().sum()) / tokens
    add_encoder_gradients(by_weight, x, weights, gate, gate_slope + slope * scale)
    by_weight["b_enc"] = gate.per_feature(gate_slope)
    return Gradients(by_weight, gate.keep(active), residual, terms)
