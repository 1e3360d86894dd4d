"""BatchTopK: the largest pre-activations of a whole batch stay, k per token on average (Bussmann et al. 2024)."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.batchtopk import BatchTopKRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.jumprelu import Function
from polysem.saes.gradients import Gradients, Weights, masked_gradients, search
from polysem.saes.method import BLOCK, Plain
from polysem.saes.search import LargestOfBatch


class Method(Plain):
    """The finished SAE is a JumpReLU one. Its threshold is the value that k features per token exceed on average on a
    sample of the training rows. The paper's, a mean of each batch's least active value, is taken while the weights
    still move, and misses it."""

    def __init__(self, recipe: Recipe) -> None:
        self._k = recipe.k
        self._threshold = 0.0

    def gradients(
        self,
        x: Float[Tensor, "token neuron"],
        weights: Weights,
        progress: float,
        target: Float[Tensor, "token output"] | None = None,
    ) -> Gradients:
        """See `Method.gradients`."""
        return masked_gradients(x, weights, LargestOfBatch(self._k), penalties.none(), target)

    def calibrate(self, x: Float[Tensor, "token neuron"], weights: Weights) -> None:
        """Measure the threshold; 0 where too few pre-activations are above it."""
        kept = [self._candidates(block, weights) for block in x.split(BLOCK)]
        values = torch.cat(kept)
        wanted = self._k * len(x)
        self._threshold = 0.0
        if len(values) > wanted:
            self._threshold = float(values.kthvalue(len(values) - wanted).values)

    def _candidates(self, x: Float[Tensor, "token neuron"], weights: Weights) -> Float[Tensor, " entry"]:
        """The largest pre-activations of some rows, twice as many as stay on average."""
        value = search(x, weights, LargestOfBatch(2 * self._k)).value
        return value[value > 0]

    def function(self, weights: Weights) -> Function:
        """JumpReLU with one threshold for all features."""
        return Function(torch.full_like(weights["b_enc"], self._threshold))
