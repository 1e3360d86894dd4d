"""Training of a sparse autoencoder, one step at a time."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from polysem.activations.rows import ActivationRows
from polysem.io.order import EpochOrder
from polysem.params.recipes.base import Recipe
from polysem.saes.gradients import Gradients, gradients
from polysem.saes.sae import SAE

SAMPLE = 16_384
"""Rows from which the scale of the activations and the first b_dec are taken."""


class Trainer:
    """The state of a training: weights, optimiser, counts of firings and the number of steps done.

    `weights` are for activations times `scale`; `W_enc` and `W_dec` are both [feature, neuron].
    """

    def __init__(self, kind: ModuleType, recipe: Recipe, rows: ActivationRows) -> None:
        self.steps = max(1, recipe.tokens // recipe.batch_size)
        self.step = 0
        self._kind, self._recipe, self._rows = kind, recipe, rows
        self._select = kind.select(recipe)
        self._order = EpochOrder(rows.length, recipe.batch_size, recipe.seed)
        sample = self._sample()
        self.scale = activation_scale(sample) if recipe.normalize_activations else 1.0
        self.weights = new_weights(sample * self.scale, recipe)
        self._optimiser = torch.optim.Adam(list(self.weights.values()), betas=(recipe.beta1, recipe.beta2), fused=True)
        self._fired = torch.zeros(len(self.weights["b_enc"]), dtype=torch.int64)
        self._watched = 0

    def advance(self) -> dict[str, float]:
        """One step on the next batch; its loss terms, per token.

        Raises FloatingPointError if the loss is no longer finite.
        """
        progress = self.step / self.steps
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.learning_rate * rate_factor(self._recipe, progress)
        x = torch.from_numpy(self._rows.gather(self._order.at(self.step).numpy())).mul_(self.scale)
        step = gradients(x, **self.weights, select=self._select, penalty=self._kind.penalty(self._recipe, progress))
        loss = step.squared_error + step.penalty
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {self.step}; lower the recipe's learning_rate")
        self._step_with_unit_decoder(step)
        self.step += 1
        if 2 * self.step > self.steps:
            self._fired += torch.bincount(step.active.feature, minlength=len(self._fired))
            self._watched += len(x)
        return {
            "loss": loss,
            "squared_error": step.squared_error,
            "penalty": step.penalty,
            "L0": len(step.active.value) / len(x),
            "explained_variance": 1 - step.squared_error / (x - x.mean(0)).square().sum(-1).mean().item(),
        }

    def _step_with_unit_decoder(self, step: Gradients) -> None:
        """Adam's step, with the gradient along each decoder row removed and the row renormalised (S2.M3)."""
        W_dec = self.weights["W_dec"]
        along = torch.linalg.vecdot(step.W_dec, W_dec)
        step.W_dec.addcmul_(W_dec, along[:, None], value=-1)
        for name, tensor in self.weights.items():
            tensor.grad = getattr(step, name)
        self._optimiser.step()
        F.normalize(W_dec, dim=-1, out=W_dec)

    def finished(self) -> SAE:
        """The SAE for activations as they are: the scale is folded in, decoder rows keep norm 1.

        With x' = s x, f' = activation((x' − b_dec) W_enc + b_enc) is s times the feature of the unscaled x, because the
        activation functions are homogeneous; so only the biases are divided by s.
        """
        weights = self.weights
        return SAE(
            W_enc=weights["W_enc"].T.contiguous(),
            b_enc=weights["b_enc"] / self.scale,
            W_dec=weights["W_dec"].clone(),
            b_dec=weights["b_dec"] / self.scale,
            activation=self._kind.activation(self._recipe),
        )

    def frequency(self) -> Float[Tensor, " feature"]:
        """Share of tokens on which each feature was active, over the second half of training."""
        return self._fired.double() / max(1, self._watched)

    def state(self) -> dict[str, Any]:
        """Everything that another process needs to go on."""
        return {
            "step": self.step,
            "weights": {name: tensor.detach() for name, tensor in self.weights.items()},
            "optimiser": self._optimiser.state_dict(),
            "fired": self._fired,
            "watched": self._watched,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where another process stopped."""
        self.step, self._watched = state["step"], state["watched"]
        self._fired.copy_(state["fired"])
        for name, tensor in self.weights.items():
            tensor.copy_(state["weights"][name])
        self._optimiser.load_state_dict(state["optimiser"])

    def _sample(self) -> Float[Tensor, "row neuron"]:
        generator = np.random.default_rng(self._recipe.seed)
        count = min(SAMPLE, self._rows.length)
        numbers = np.sort(generator.choice(self._rows.length, size=count, replace=False))
        return torch.from_numpy(self._rows.gather(numbers))


def activation_scale(sample: Float[Tensor, "row neuron"]) -> float:
    """The factor that brings the mean norm of the rows to the square root of the number of neurons."""
    norm = sample.norm(dim=-1).mean().item()
    if norm == 0:
        raise ValueError("all sampled activations are 0; the site carries nothing to learn from")
    return sample.shape[1] ** 0.5 / norm


def new_weights(sample: Float[Tensor, "row neuron"], recipe: Recipe) -> dict[str, Tensor]:
    """Random decoder rows of norm 1, the encoder rows the same, b_dec the mean of the sample, b_enc 0.

    `W_enc` and `W_dec` are both [feature, neuron].
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    neurons = sample.shape[1]
    W_dec = F.normalize(torch.randn(recipe.expansion * neurons, neurons, generator=generator), dim=-1)
    return {"W_enc": W_dec.clone(), "b_enc": torch.zeros(len(W_dec)), "W_dec": W_dec, "b_dec": sample.mean(0)}


def rate_factor(recipe: Recipe, progress: float) -> float:
    """Learning rate as a share of its maximum: a linear rise over `warmup`, a linear fall over the last `decay`."""
    rise = (progress + 1e-3) / recipe.warmup if recipe.warmup else 1.0
    fall = (1 - progress) / recipe.decay if recipe.decay else 1.0
    return min(1.0, rise, fall)
