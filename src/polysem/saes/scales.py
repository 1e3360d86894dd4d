"""The scale that activations are trained at."""

from jaxtyping import Float
from torch import Tensor

from polysem.io.errors import InputError


def activation_scale(sample: Float[Tensor, "row neuron"]) -> float:
    """The factor that brings the mean norm of the rows to the square root of the number of neurons."""
    norm = sample.norm(dim=-1).mean().item()
    if norm == 0:
        raise InputError(
            "all sampled activations are 0, so there is nothing to learn from; choose another site, or train the model "
            "again with a lower learning_rate if it is one of this run"
        )
    return sample.shape[1] ** 0.5 / norm
