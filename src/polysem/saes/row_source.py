"""Where the rows of a training come from."""

from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor


class RowSource(Protocol):
    """Shuffled activation rows; which ones a step gets depends on the seed and on the step alone.

    Where a target is predicted, a row holds the activations of the site and, behind them, those of the target at the
    same token.
    """

    width: int
    """Number of neurons of the site."""
    receipt: dict[str, Any]
    """What the rows are made from; `params` holds `site` and `settings`."""

    def batch(self, step: int) -> Float[Tensor, "row neuron"]:
        """The rows of a step, float32, or as a store has them where the training is on a card; the caller may change
        them."""

    def sample(self, count: int, seed: int) -> Float[Tensor, "row neuron"]:
        """Up to `count` random rows, float32."""
