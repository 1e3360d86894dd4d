"""Training of a sparse autoencoder, one step at a time; the plain version, with gradients from autograd."""

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
from polysem.saes.sae import SAE

SAMPLE = 16_384
"""Rows from which the scale of the activations and the first b_dec are taken."""


class Trainer:
    """The state of a training: weights, optimiser, counts of firings and the number of steps done."""

    def __init__(self, kind: ModuleType, recipe: Recipe, rows: ActivationRows) -> None:
        self.steps = max(1, recipe.tokens // recipe.batch_size)
        self.step = 0
        self._kind, self._recipe, self._rows = kind, recipe, rows
        self._order = EpochOrder(rows.length, recipe.batch_size, recipe.seed)
        sample = self._sample()
        self._scale = activation_scale(sample) if recipe.normalize_activations else 1.0
        self._sae = new_sae(sample * self._scale, recipe, kind)
        for tensor in self._sae.tensors().values():
            tensor.requires_grad_()
        self._optimiser = torch.optim.Adam(
            list(self._sae.tensors().values()), betas=(recipe.beta1, recipe.beta2), fused=True
        )
        self._fired = torch.zeros(self._sae.features, dtype=torch.int64)
        self._watched = 0

    def advance(self) -> dict[str, float]:
        """One step on the next batch; its loss terms, per token.

        Raises FloatingPointError if the loss is no longer finite.
        """
        progress = self.step / self.steps
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.learning_rate * rate_factor(self._recipe, progress)
        x = torch.from_numpy(self._rows.gather(self._order.at(self.step).numpy())).mul_(self._scale)
        f = self._sae.encode(x)
        squared_error = (self._sae.decode(f) - x).square().sum(-1).mean()
        penalty = self._kind.penalty(f, self._recipe, progress)
        loss = squared_error + penalty
        loss.backward()
        self._step_with_unit_decoder()
        self.step += 1
        active = f.detach() > 0
        if 2 * self.step > self.steps:
            self._fired += active.sum(0)
            self._watched += len(x)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.step}; lower the recipe's learning_rate")
        return {
            "loss": loss.item(),
            "squared_error": squared_error.item(),
            "penalty": penalty.item(),
            "L0": active.sum(-1, dtype=torch.float32).mean().item(),
            "explained_variance": 1 - squared_error.item() / (x - x.mean(0)).square().sum(-1).mean().item(),
        }

    def _step_with_unit_decoder(self) -> None:
        """Adam's step, with the gradient along each decoder row removed and the row renormalised (S2.M3)."""
        W_dec = self._sae.W_dec
        with torch.no_grad():
            assert W_dec.grad is not None
            W_dec.grad -= (W_dec.grad * W_dec).sum(-1, keepdim=True) * W_dec
            self._optimiser.step()
            self._optimiser.zero_grad()
            W_dec /= W_dec.norm(dim=-1, keepdim=True)

    def finished(self) -> SAE:
        """The SAE for activations as they are: the scale is folded in, decoder rows keep norm 1.

        With x' = s x, f' = activation((x' − b_dec) W_enc + b_enc) is s times the feature of the unscaled x, because the
        activation functions are homogeneous; so only the biases are divided by s.
        """
        tensors = {name: tensor.detach().clone() for name, tensor in self._sae.tensors().items()}
        tensors["b_enc"] /= self._scale
        tensors["b_dec"] /= self._scale
        return SAE(**tensors, activation=self._sae.activation)

    def frequency(self) -> Float[Tensor, " feature"]:
        """Share of tokens on which each feature was active, over the second half of training."""
        return self._fired.double() / max(1, self._watched)

    def state(self) -> dict[str, Any]:
        """Everything that another process needs to go on."""
        return {
            "step": self.step,
            "tensors": {name: tensor.detach() for name, tensor in self._sae.tensors().items()},
            "optimiser": self._optimiser.state_dict(),
            "fired": self._fired,
            "watched": self._watched,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where another process stopped."""
        self.step, self._watched = state["step"], state["watched"]
        self._fired.copy_(state["fired"])
        with torch.no_grad():
            for name, tensor in self._sae.tensors().items():
                tensor.copy_(state["tensors"][name])
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


def new_sae(sample: Float[Tensor, "row neuron"], recipe: Recipe, kind: ModuleType) -> SAE:
    """Random decoder rows of norm 1, the encoder their transpose, b_dec the mean of the sample, b_enc 0."""
    generator = torch.Generator().manual_seed(recipe.seed)
    neurons = sample.shape[1]
    W_dec = F.normalize(torch.randn(recipe.expansion * neurons, neurons, generator=generator), dim=-1)
    return SAE(W_dec.T.clone(), torch.zeros(len(W_dec)), W_dec, sample.mean(0), kind.activation(recipe))


def rate_factor(recipe: Recipe, progress: float) -> float:
    """Learning rate as a share of its maximum: a linear rise over `warmup`, a linear fall over the last `decay`."""
    rise = (progress + 1e-3) / recipe.warmup if recipe.warmup else 1.0
    fall = (1 - progress) / recipe.decay if recipe.decay else 1.0
    return min(1.0, rise, fall)
