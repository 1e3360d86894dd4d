"""BatchTopK: the largest pre-activations of a whole batch stay, k per token on average (Bussmann et al. 2024)."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.batchtopk import BatchTopKRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.jumprelu import Function
from polysem.saes.entries import SparseEntries
from polysem.saes.gradients import Gradients, Weights, masked_gradients
from polysem.saes.search import LargestOfBatch

KEPT = 0.99
"""Share of the running mean of the threshold that a step keeps."""


class Method:
    """The finished SAE is a JumpReLU one, whose threshold is the running mean of each batch's smallest active value."""

    def __init__(self, recipe: Recipe) -> None:
        self._k = recipe.k
        self._threshold = torch.zeros((), dtype=torch.float64)
        self._steps = torch.zeros((), dtype=torch.int64)

    def extra_weights(self, features: int) -> dict[str, Tensor]:
        """None: the threshold is measured, not trained."""
        return {}

    def gradients(self, x: Float[Tensor, "token neuron"], weights: Weights, progress: float) -> Gradients:
        """See `Method.gradients`."""
        found = masked_gradients(x, weights, LargestOfBatch(self._k), penalties.none())
        value = found.active.value
        least = value if isinstance(found.active, SparseEntries) else value[value > 0]
        if least.numel():
            self._steps += 1
            share = max(1 - KEPT, 1 / int(self._steps))  # a plain mean at first
            self._threshold += share * (float(least.min()) - self._threshold)
        return found

    def function(self, weights: Weights) -> Function:
        """JumpReLU with one threshold for all features."""
        return Function(torch.full_like(weights["b_enc"], float(self._threshold)))

    def state(self) -> dict[str, Tensor]:
        """The running mean."""
        return {"threshold": self._threshold, "steps": self._steps}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self._threshold, self._steps = state["threshold"].clone(), state["steps"].clone()
