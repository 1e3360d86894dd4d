"""What an architecture brings to training."""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from polysem.saes.gradients import Gradients, Weights
from polysem.saes.sae import ActivationFunction

BLOCK = 1024
"""Rows at a time, where a finished SAE is calibrated."""


class Method(Protocol):
    """One architecture with its hyper-parameters; a module per architecture in `polysem.saes.architectures`."""

    def extra_weights(self, features: int) -> dict[str, Tensor]:
        """Trainable tensors beside `W_enc`, `b_enc`, `W_dec`, `b_dec`."""

    def gradients(self, x: Float[Tensor, "token neuron"], weights: Weights, progress: float) -> Gradients:
        """Gradients of the loss on a batch; `progress` is the share of training that is done."""

    def calibrate(self, x: Float[Tensor, "token neuron"], weights: Weights) -> None:
        """Measure on training rows, with the final weights, what the finished SAE needs beside them."""

    def function(self, weights: Weights) -> ActivationFunction:
        """The activation function of the finished SAE."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps beside the weights."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""


class Transcodes(Method, Protocol):
    """An architecture that may also predict another site from its own (`transcodes` of its recipe)."""

    def gradients(
        self,
        x: Float[Tensor, "token neuron"],
        weights: Weights,
        progress: float,
        target: Float[Tensor, "token output"] | None = None,
    ) -> Gradients:
        """The same where a `target` is predicted, and not x itself; `b_dec_out` then stands for `b_dec`."""


class Plain:
    """An architecture that adds no weights and keeps nothing between steps, where a subclass does not say otherwise."""

    def extra_weights(self, features: int) -> dict[str, Tensor]:
        """None."""
        return {}

    def calibrate(self, x: Float[Tensor, "token neuron"], weights: Weights) -> None:
        """Nothing."""

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing."""


def ramp(rise: float, fall: float, progress: float) -> float:
    """A factor that rises linearly from 0 over the first `rise` of training and falls to 0 over the last `fall`."""
    up = progress / rise if rise else 1.0
    down = (1 - progress) / fall if fall else 1.0
    return max(0.0, min(1.0, up, down))
