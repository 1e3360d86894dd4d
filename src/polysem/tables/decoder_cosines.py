"""S2.F14: cosines between decoder rows, over all pairs without any matrix of pairs."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg.blas import ssyrk
from torch import Tensor

BIN_EDGES = np.linspace(-1, 1, 401)
SAMPLE = 1024
"""Rows whose cosines go into a histogram: 524,000 pairs show any shape."""


@dataclass(frozen=True)
class Moments:
    """Of unit rows: how many there are, their sum, and the sum of their outer products, upper triangle only."""

    rows: int
    total: Float[Tensor, " neuron"]
    second: Float[Tensor, "neuron neuron"]

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.rows + other.rows, self.total + other.total, self.second + other.second)

    def mean_and_variance(self) -> tuple[float, float]:
        """Of the cosines of all pairs of two different rows; NaN if there are fewer than two rows.

        The sum of the cosines is ‖Σ u‖² - rows and that of their squares ‖Σ u uᵀ‖² - rows.
        """
        pairs = self.rows * (self.rows - 1)
        if not pairs:
            return float("nan"), float("nan")
        mean = (float(self.total.double().square().sum()) - self.rows) / pairs
        diagonal = float(self.second.diagonal().double().square().sum())
        squares = 2 * float(self.second.square().sum(dtype=torch.float64)) - diagonal
        return mean, max(0.0, (squares - self.rows) / pairs - mean**2)


def moments(unit: Float[Tensor, "feature neuron"]) -> Moments:
    """Moments of rows of norm 1."""
    return Moments(len(unit), unit.sum(0, dtype=torch.float64), outer_products(unit))


def outer_products(rows: Float[Tensor, "feature neuron"]) -> Float[Tensor, "neuron neuron"]:
    """Σ r rᵀ over the rows, its upper triangle; zeros below. Half the work of a product of matrices."""
    neurons = rows.shape[1]
    if not len(rows):
        return torch.zeros(neurons, neurons)
    return torch.from_numpy(ssyrk(1.0, rows.contiguous().numpy().T)).view(neurons, neurons)


def histogram(unit: Float[Tensor, "feature neuron"]) -> NDArray[np.int64]:
    """Pairs per bin of `BIN_EDGES`, of at most 1,024 rows, evenly spaced among all."""
    count = min(len(unit), SAMPLE)
    some = unit[torch.from_numpy(np.linspace(0, max(0, len(unit) - 1), count).astype(np.int64))]
    cosines = (some @ some.T).numpy()[np.triu_indices(len(some), 1)]
    return np.histogram(cosines.clip(-1, 1), BIN_EDGES)[0]


def random_rows(neurons: int, seed: int) -> Float[Tensor, "row neuron"]:
    """1,024 directions drawn at random."""
    drawn = np.random.default_rng(seed).standard_normal((SAMPLE, neurons), np.float32)
    return torch.nn.functional.normalize(torch.from_numpy(drawn), dim=1)
