"""An SAE architecture, found by the name of its folder in `polysem.saes.architectures`."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from jaxtyping import Float
from torch import Tensor

from polysem.params.addons import modules_of
from polysem.params.kinds import own_class
from polysem.params.recipes.base import Recipe
from polysem.saes import autograd
from polysem.saes.gradients import Gradients
from polysem.saes.losses import BaseLoss, Weights
from polysem.saes.sae import ActivationFunction

FastPath = Callable[[BaseLoss, Tensor, Tensor, Weights], Gradients]
"""`gradients(loss, x, target, weights)` of the module `fast`: those of the loss, faster."""


class Architecture:
    """How the SAE of a recipe trains, and what it is in the end."""

    def __init__(self, recipe: Recipe) -> None:
        self._package, self._recipe = _package(recipe.architecture), recipe
        self.loss: BaseLoss = import_module(f"{self._package}.loss").Loss(recipe)
        self.fast: FastPath | None = None
        """The fast path; None where the folder has none, and autograd gives the gradients."""
        if find_spec(f"{self._package}.fast") is not None:
            self.fast = import_module(f"{self._package}.fast").gradients

    @property
    def elementwise(self) -> bool:
        """See `ActivationFunction.elementwise`, of the finished SAE's."""
        functions = modules_of("polysem.saes.activation_functions")
        kind: type[ActivationFunction] = import_module(functions[self._recipe.saved_as]).Function
        return kind.elementwise

    def gradients(
        self, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
    ) -> Gradients:
        """Gradients of the loss on a batch. ValueError if the loss has other terms than it declares."""
        found = (self.fast or autograd.gradients)(self.loss, x, target, weights)
        if found.terms.keys() != self.loss.TERMS.keys():
            raise ValueError(
                f"the loss of {self._recipe.architecture} has the terms {', '.join(found.terms)}, and its TERMS "
                f"declare {', '.join(self.loss.TERMS)}; make them the same"
            )
        return found

    def function(self, weights: Weights, rows: Float[Tensor, "row neuron"]) -> ActivationFunction:
        """The activation function of the finished SAE, from its weights and a sample of the training rows."""
        made: ActivationFunction = import_module(f"{self._package}.function").function(self._recipe, weights, rows)
        return made


def recipe_class(architecture: str) -> type[Recipe]:
    """The keys of an architecture; ModuleNotFoundError if there is no such folder."""
    found = own_class(f"{_package(architecture)}.recipe", Recipe, "architecture", architecture)
    if found is None:
        raise ModuleNotFoundError(
            f"{_package(architecture)}.recipe has no class with architecture: Literal[{architecture!r}]"
        )
    return found


def _package(architecture: str) -> str:
    found = modules_of("polysem.saes.architectures").get(architecture)
    if found is None:
        raise ModuleNotFoundError(f"there is no SAE architecture {architecture!r}")
    return found
