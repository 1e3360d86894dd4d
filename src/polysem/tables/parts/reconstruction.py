"""How far reconstructions are from activations."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class Reconstruction:
    """Error and spread of activations, added up over batches in float64 (Chan's update of mean and sum of squares)."""

    tokens: int = 0
    active: int = 0
    activation: float = 0.0
    error: float = 0.0
    spread: float = 0.0
    mean: Float[Tensor, " neuron"] = field(default_factory=lambda: torch.zeros(()))
    centre: Float[Tensor, " neuron"] | None = None
    """Mean of the first batch, from which the squared distances of `by_token` are taken."""
    by_token: list[NDArray[np.float64]] = field(default_factory=list)
    """Per batch: squared error, squared distance from the centre, and active features of each token, [token, 3]."""

    def add(
        self,
        x: Float[Tensor, "token neuron"],
        f: Float[Tensor, "token feature"],
        x_hat: Float[Tensor, "token neuron"],
        size: Tensor | float = 1.0,
    ) -> None:
        """Add activations, their features and their reconstructions; features times `size` [token, 1] are in the unit
        of the activations."""
        if not len(x):
            return
        x = x.double()
        error, active = (x - x_hat.double()).square().sum(dim=1), (f > 0).sum(dim=1)
        self.error += float(error.sum())
        self.active += int(active.sum())
        self.activation += float((f.clamp(min=0).double() * size).sum())
        self.centre = x.mean(dim=0) if self.centre is None else self.centre
        distance = (x - self.centre).square().sum(dim=1)
        self.by_token.append(torch.stack([error, distance, active.double()], dim=1).cpu().numpy())
        mean = x.mean(dim=0)
        ours = len(x) / (self.tokens + len(x))
        step = mean - self.mean.to(mean)
        self.spread += float((x - mean).square().sum()) + self.tokens * ours * float(step.square().sum())
        self.mean = self.mean.to(mean) + ours * step
        self.tokens += len(x)

    @property
    def explained_variance(self) -> float:
        """1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖²; NaN if all activations are equal."""
        return 1 - ratio(self.error, self.spread)

    def sums(self, sequence: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Tokens, squared error, squared distance from the mean, and active features of each sequence, from the number
        of the sequence of each token. The mean is that of all tokens in every resample: it hardly moves."""
        error, distance, active = np.concatenate(self.by_token).T
        assert self.centre is not None
        beyond = float((self.mean - self.centre).square().sum())
        columns = {"tokens": np.ones_like(error), "error": error, "spread": distance - beyond, "active": active}
        # Distances from the mean add up to those from the centre, less the squared distance of the two for each token.
        return {name: np.bincount(sequence, values).astype(np.float64) for name, values in columns.items()}


def ratio(numerator: float, denominator: float) -> float:
    """A quotient; NaN where the denominator is 0."""
    return numerator / denominator if denominator else math.nan
