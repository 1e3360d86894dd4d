"""TopK: the k largest pre-activations of a token stay, where they are above 0; no penalty."""

from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.topk import TopKRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.topk import Function
from polysem.saes.gradients import Gradients, Weights, masked_gradients
from polysem.saes.method import Plain
from polysem.saes.search import Largest


class Method(Plain):
    """k bounds the number of active features of each token."""

    def __init__(self, recipe: Recipe) -> None:
        self._k = recipe.k

    def gradients(self, x: Float[Tensor, "token neuron"], weights: Weights, progress: float) -> Gradients:
        """See `Method.gradients`."""
        return masked_gradients(x, weights, Largest(self._k), penalties.none())

    def function(self, weights: Weights) -> Function:
        """The k largest."""
        return Function(self._k)
