"""Training of transcoders: what they see of the rows of two sites, their first weights, and what is folded in the end.

In training they see s x and predict t · y, with the scales s and t of both sites; x is not centred, as its mean keeps
half of the random first features off, which is where sparse ones begin (docs/results.md). Architectures have no part in
the skip connection: they predict what it misses, and its gradient follows from what they miss in turn.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from polysem.params.recipes.base import Recipe
from polysem.saes.architecture import Architecture
from polysem.saes.dead_features import random_directions
from polysem.saes.gradients import Gradients
from polysem.saes.losses import Weights
from polysem.saes.sae import ActivationFunction
from polysem.saes.scales import activation_scale
from polysem.saes.transcoder import Transcoder

RIDGE = 1e-4
"""Share of the mean square of the input's neurons that the linear map adds to each: constant ones then do no harm."""


class Transcoding:
    """Scales of a training, taken from a sample of its rows, which hold those of the site and, behind them,
    those of its target."""

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        inputs: int,
        sample: Float[Tensor, "row neuron_and_output"],
        device: str,
    ) -> None:
        """`inputs` is the number of neurons of the site."""
        assert recipe.target is not None, "an SAE has no target"
        self._recipe, self._inputs, self._target = recipe, inputs, recipe.target
        self._architecture = architecture
        x, y = sample.split([inputs, sample.shape[1] - inputs], dim=1)
        self.scale, self.target_scale = (
            (activation_scale(part) if recipe.normalize_activations else 1.0) for part in (x, y)
        )
        self._device = device

    def rows(
        self, pairs: Float[Tensor, "row neuron_and_output"]
    ) -> tuple[Float[Tensor, "row neuron"], Float[Tensor, "row output"]]:
        """What is read and what is predicted, as the training sees both."""
        x, y = pairs.split([self._inputs, pairs.shape[1] - self._inputs], dim=1)
        return x * self.scale, y * self.target_scale

    def new_weights(self, sample: Float[Tensor, "row neuron_and_output"]) -> dict[str, Tensor]:
        """Random encoder rows, `b_enc` 0, `b_dec_out` the mean of the target; decoder rows where the best linear map
        takes the encoder rows, with `start: independent` anywhere, and `b_dec_out` 0; `W_skip` 0, as in SAELens."""
        recipe, generator = self._recipe, torch.Generator().manual_seed(self._recipe.seed)
        z, y = self.rows(sample.to(self._device))
        outputs, features = y.shape[1], recipe.expansion * self._inputs
        directions = random_directions(features, self._inputs, generator).to(self._device)
        b_dec_out = y.mean(0)
        if recipe.start == "independent":
            decoder = random_directions(features, outputs, generator).to(self._device)
            b_dec_out.zero_()
        else:
            decoder = F.normalize(directions @ linear_map(z, y), dim=1)
        weights = {
            "W_enc": directions * recipe.encoder_start,
            "b_enc": torch.zeros(features, device=self._device),
            "W_dec": decoder * recipe.first_decoder_norm,
            "b_dec_out": b_dec_out,
        }
        if recipe.skip:
            weights["W_skip"] = torch.zeros(outputs, self._inputs, device=self._device)
        return weights | {
            name: tensor.to(self._device) for name, tensor in self._architecture.loss.extra_weights(features).items()
        }

    def gradients(
        self,
        z: Float[Tensor, "row neuron"],
        y: Float[Tensor, "row output"],
        weights: Weights,
    ) -> Gradients:
        """Gradients of a step on rows as `rows` gives them."""
        if "W_skip" not in weights:
            return self._architecture.gradients(z, y, weights)
        found = self._architecture.gradients(z, torch.addmm(y, z, weights["W_skip"].T, alpha=-1), weights)
        found.by_weight["W_skip"] = (found.residual.T @ z).mul_(2 / len(z))
        return found

    def finished(self, weights: Weights, function: ActivationFunction, norm: Float[Tensor, " feature"]) -> Transcoder:
        """The transcoder for activations as they are, whose features are in the unit of the target's: scales and the
        norms of decoder rows are folded in. `function` has these norms already; weights are on the CPU."""
        s, t = self.scale, self.target_scale
        W_skip = weights.get("W_skip")
        return Transcoder(
            W_enc=(weights["W_enc"] * (norm * (s / t))[:, None]).T.contiguous(),
            b_enc=weights["b_enc"] * norm / t,
            W_dec=weights["W_dec"] / norm[:, None],
            b_dec=weights["b_dec_out"] / t,
            activation=function.scaled(1 / t),
            W_skip=None if W_skip is None else W_skip * (s / t),
            target=self._target,
        )


def linear_map(z: Float[Tensor, "row neuron"], y: Float[Tensor, "row output"]) -> Float[Tensor, "neuron output"]:
    """The matrix A that brings z A + a constant closest to y, by ridge regression in float64."""
    exact, wanted = z.double(), y.double()
    exact, wanted = exact - exact.mean(0), wanted - wanted.mean(0)
    square = exact.T @ exact
    square.diagonal().add_(RIDGE * square.diagonal().mean().clamp_min(torch.finfo(torch.float64).tiny))
    return torch.linalg.solve(square, exact.T @ wanted).to(z.dtype)
