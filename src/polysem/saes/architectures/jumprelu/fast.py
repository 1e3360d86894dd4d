"""The gradients of the loss over features that are active or within half a bandwidth of it."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.jumprelu.loss import Loss
from polysem.saes.gradients import Gradients, add_encoder_gradients, decoder_gradients, search
from polysem.saes.losses import Weights
from polysem.saes.search import Above


def gradients(
    loss: Loss, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
) -> Gradients:
    """See `polysem.saes.architecture.FastPath`."""
    threshold = weights["threshold"]
    near = search(x, weights, Above((threshold - loss.bandwidth / 2).clamp(min=0)))
    theta = near.of_feature(threshold)
    active = near.value > theta
    f = near.where(active, near.value)
    by_weight, residual, slope, terms = decoder_gradients(target, weights, near, f)
    inside = (near.value - theta).abs() < loss.bandwidth / 2
    push = near.where(inside, slope * theta + loss.weight / len(x)) / loss.bandwidth
    by_weight["threshold"] = -near.per_feature(push)
    through = near.where(active, slope)
    if loss.moves_all:
        through = through + push
    add_encoder_gradients(by_weight, x, weights, near, through)
    on = near.keep(active)
    terms["penalty"] = loss.weight * on.count() / len(x)
    return Gradients(by_weight, on, residual, terms)
