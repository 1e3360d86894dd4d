"""The gradients of the loss over active features."""

from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.batchtopk.loss import Loss
from polysem.saes.gradients import Gradients, masked_gradients
from polysem.saes.losses import Weights
from polysem.saes.search import LargestOfBatch


def gradients(
    loss: Loss, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
) -> Gradients:
    """See `polysem.saes.architecture.FastPath`."""
    return masked_gradients(x, target, weights, LargestOfBatch(loss.k))
