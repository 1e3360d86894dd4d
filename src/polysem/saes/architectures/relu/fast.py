"""The gradients of the loss over active features."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes import penalties
from polysem.saes.architectures.relu.loss import Loss
from polysem.saes.gradients import Gradients, masked_gradients
from polysem.saes.losses import Weights
from polysem.saes.search import Above


def gradients(
    loss: Loss, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
) -> Gradients:
    """See `polysem.saes.architecture.FastPath`."""
    penalty = (penalties.sqrt if loss.pays_roots else penalties.l1)(loss.weight)
    if loss.hoyer:
        penalty = penalties.both(penalty, penalties.hoyer(loss.hoyer))
    return masked_gradients(x, target, weights, Above(), penalty)
