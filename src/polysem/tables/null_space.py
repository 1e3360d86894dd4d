"""S2.F12: how much of a direction at a site is lost in the weights out of it."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

RANDOM_ROWS = 4096


def column_space(weights: Float[Tensor, "neuron output"]) -> Float[Tensor, "neuron rank"]:
    """An orthonormal basis of what the weights out of a site can see; what only rounding adds is not seen."""
    basis, triangle = torch.linalg.qr(weights.double())
    left, size, _ = torch.linalg.svd(triangle)
    seen = size > size.max() * max(weights.shape) * torch.finfo(weights.dtype).eps
    return (basis @ left[:, seen]).to(weights.dtype)


def null_share(rows: Float[Tensor, "feature neuron"], basis: Float[Tensor, "neuron rank"]) -> Float[Tensor, " feature"]:
    """Share of the squared norm of each direction that lies in the null space; NaN for a direction of zeros."""
    seen = rows @ basis
    return (1 - torch.linalg.vecdot(seen, seen) / torch.linalg.vecdot(rows, rows)).clamp(0, 1)


def random_null_share(neurons: int, rank: int, seed: int) -> NDArray[np.float64]:
    """The same share of 4096 directions drawn at random.

    That of a standard-normal vector has a Beta((neurons - rank)/2, rank/2) distribution, from which it is drawn.
    """
    if rank == neurons:
        return np.zeros(RANDOM_ROWS)
    return np.random.default_rng(seed).beta((neurons - rank) / 2, rank / 2, RANDOM_ROWS)
