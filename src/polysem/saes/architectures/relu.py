"""ReLU with a sparsity penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""

from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.relu import ReluRecipe as Recipe
from polysem.saes import penalties
from polysem.saes.activation_functions.standard import Function
from polysem.saes.gradients import Gradients, Weights, masked_gradients
from polysem.saes.method import ramp
from polysem.saes.search import Above
from polysem.saes.sparsity_control import Penalised


class Method(Penalised):
    """Features are the pre-activations above 0; their sizes are penalised."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, recipe.l1, recipe.l1_warmup, recipe.l1_decay)
        self._recipe = recipe

    def gradients(
        self,
        x: Float[Tensor, "token neuron"],
        weights: Weights,
        progress: float,
        target: Float[Tensor, "token output"] | None = None,
    ) -> Gradients:
        """See `Method.gradients`."""
        return self.steered(masked_gradients(x, weights, Above(), self.penalty(progress), target), progress)

    def penalty(self, progress: float) -> penalties.Penalty:
        """The recipe's penalty; its weights rise from 0 at the start and may fall at the end."""
        recipe = self._recipe
        form = penalties.sqrt if recipe.penalty in ("sqrt", "hoyer_sqrt") else penalties.l1
        size = form(self.penalty_weight(progress))
        if recipe.hoyer is None:
            return size
        return penalties.both(size, penalties.hoyer(recipe.hoyer * ramp(recipe.l1_warmup, recipe.l1_decay, progress)))

    def function(self, weights: Weights) -> Function:
        """ReLU."""
        return Function()
