"""Features that (almost) never fire: finding them, and giving them new weights (S2.M2)."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from polysem.params.recipes.base import Recipe
from polysem.saes.entries import Entries
from polysem.saes.losses import Weights

ENCODER_NORM = 0.2
"""Norm of a new encoder row as a share of the mean norm of the living ones (*Towards Monosemanticity*)."""


class Census:
    """How often each feature fired in the second half of the running interval, and which are dead since the last; both
    on the device of the training."""

    def __init__(self, recipe: Recipe, features: int, steps: int, device: str = "cpu") -> None:
        self._recipe, self._steps = recipe, steps
        self.firings = torch.zeros(features, dtype=torch.int64, device=device)
        self.tokens = 0
        self.dead = torch.zeros(0, dtype=torch.int64, device=device)
        """Numbers of the features that were dead at the last count."""

    def take(self, step: int, active: Entries, tokens: int) -> bool:
        """Count a step (the first is 1); True if an interval is complete and `dead` is new."""
        every = self._recipe.dead_every
        place = (step - 1) % every
        if 2 * place >= every:
            self.firings += active.firings()
            self.tokens += tokens
        if place < every - 1:
            return False
        self.dead = torch.nonzero(self.firings < self._recipe.dead_below * self.tokens).view(-1)
        self.firings.zero_()
        self.tokens = 0
        return True

    def replaces(self, step: int) -> bool:
        """Whether features are still replaced after a step."""
        return self._recipe.dead_features in ("reinitialise", "loss_weighted") and (
            step <= self._recipe.dead_until * self._steps
        )

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"firings": self.firings, "tokens": self.tokens, "dead": self.dead}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.firings.copy_(state["firings"])
        self.tokens, self.dead = state["tokens"], state["dead"].to(self.firings.device)


def random_directions(features: int, neurons: int, generator: torch.Generator) -> Float[Tensor, "feature neuron"]:
    """Random rows of norm 1."""
    return F.normalize(torch.randn(features, neurons, generator=generator), dim=-1)


def poorly_reconstructed(
    x: Float[Tensor, "token neuron"],
    loss: Float[Tensor, " token"],
    b_dec: Float[Tensor, " neuron"],
    count: int,
    generator: torch.Generator,
) -> Float[Tensor, "feature neuron"]:
    """Directions of `count` inputs drawn with probabilities proportional to the square of their loss.

    Inputs are taken less b_dec, as the encoder sees them.
    """
    chosen = torch.multinomial(loss.square().clamp_min(1e-30).cpu(), count, replacement=True, generator=generator)
    return F.normalize(x[chosen.to(x.device)] - b_dec, dim=-1)


def replace_features(
    weights: Weights,
    optimiser: torch.optim.Optimizer,
    dead: Int[Tensor, " dead"],
    directions: Float[Tensor, "dead neuron"],
    encoder_norm: float,
) -> None:
    """Give dead features a decoder row, an encoder row along it, no bias, and forget what the optimiser knew of them.

    Weights that an architecture adds keep their mean over the features that live.
    """
    living = torch.ones(len(weights["b_enc"]), dtype=torch.bool)
    living[dead] = False
    dead, directions = dead.to(weights["W_dec"].device), directions.to(weights["W_dec"].device)
    for name, tensor in weights.items():
        if name == "W_dec":
            tensor[dead] = directions
        elif name == "W_enc":
            if tensor is not weights["W_dec"]:
                tensor[dead] = directions * encoder_norm
        elif name == "b_enc":
            tensor[dead] = 0.0
        elif name != "b_dec":
            tensor[dead] = tensor[living.to(tensor.device)].mean() if living.any() else tensor.mean()
        if name != "b_dec":
            for value in optimiser.state.get(tensor, {}).values():
                if isinstance(value, Tensor) and value.shape == tensor.shape:
                    value[dead] = 0.0
