"""S2.F12: how much of a direction at a site is lost in the weights out of it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor

from polysem.saes.dictionary import Dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.parts.directions import Directions, weights_around
from polysem.tables.parts.reading import dictionary_of

RANDOM_ROWS = 4096
NEARLY_SINGULAR = 1e-4
"""Ratio of singular values whose square still leaves eight digits of float64."""
ROUNDING = 1e-6
"""Part of the norm of weights that float32 products may lose."""


@dataclass(frozen=True)
class SeenRows:
    """What the weights W_out behind a site see of decoder rows: their coordinates in W_out's column space.

    Their lengths tell the share of the null space, and what follows of them on the way to the logits is short: one
    product of all rows, the largest part of either, serves both.
    """

    basis: Float[Tensor, "neuron rank"]
    decoder: Float[Tensor, "feature rank"]

    def onward(self, weights: Float[Tensor, "neuron output"]) -> Float[Tensor, "rank output"] | None:
        """The way from the coordinates to the outputs, W_out in the basis.

        None where W_out has directions that do not count as seen, being weak, and are yet more than rounding.
        """
        inside = self.basis.T @ weights.cpu()
        lost = torch.linalg.vector_norm(weights.cpu() - self.basis @ inside)
        return inside if lost <= ROUNDING * torch.linalg.vector_norm(weights) else None


def seen_rows(dictionary: Dictionary, directions: Directions, site: str) -> SeenRows | None:
    """What the weights behind a site see of the decoder rows of a dictionary; None where the site has no such weights.

    Multiplied by numpy, whose float32 product takes a sixth less than torch's on AMD's processors.
    """
    weights = directions.output_weights(site)
    if weights is None:
        return None
    basis = column_space(weights.cpu())
    return SeenRows(basis, torch.from_numpy(dictionary.decoder().cpu().numpy() @ basis.numpy()))


def shared_seen_rows(inputs: Inputs) -> SeenRows | None:
    """The same for the dictionary of a table, computed once for all tables of a job; reads `weights`, `store` and
    `directions`."""
    dictionary, weights = dictionary_of(inputs), weights_around(inputs)
    basis = dictionary.target or inputs.site
    return inputs.once(("seen rows", inputs.place), lambda: seen_rows(dictionary, weights, basis))


def column_space(weights: Float[Tensor, "neuron output"]) -> Float[Tensor, "neuron rank"]:
    """An orthonormal basis of what the weights out of a site can see; what only rounding adds is not seen.

    From the eigenvectors of the outputs' products with each other in float64: a third of the time of a singular value
    decomposition. Products square the condition, so a basis of weights that are nearly singular is made orthonormal
    again.
    """
    exact = weights.numpy().astype(np.float64)
    square, direction = eigh(exact.T @ exact, driver="evd")
    size = np.sqrt(square.clip(min=0))
    seen = size > size.max() * max(weights.shape) * torch.finfo(weights.dtype).eps
    basis = exact @ (direction[:, seen] / size[seen])
    if (size[seen] < NEARLY_SINGULAR * size.max()).any():
        basis, _ = np.linalg.qr(basis)
    return torch.from_numpy(basis).to(weights.dtype)


def null_share(seen: NDArray[np.floating], squares: NDArray[np.floating]) -> NDArray[np.float32]:
    """Share of the squared norm of directions that lies in the null space; NaN for a direction of zeros.

    `seen` and `squares` [feature] are the squared norms of the directions in W_out's column space and as they are.
    """
    with np.errstate(invalid="ignore"):
        return (1 - seen / squares).clip(0, 1).astype(np.float32)


def random_null_share(neurons: int, rank: int, seed: int) -> NDArray[np.float64]:
    """The same share of 4096 directions drawn at random.

    That of a standard-normal vector has a Beta((neurons - rank)/2, rank/2) distribution, from which it is drawn.
    """
    if rank == neurons:
        return np.zeros(RANDOM_ROWS)
    return np.random.default_rng(seed).beta((neurons - rank) / 2, rank / 2, RANDOM_ROWS)
