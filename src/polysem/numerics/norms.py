"""Norms and products of columns, without turning a matrix round."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

ROWS = 32
"""Rows of a matrix whose squares are added in float32; these sums are added in float64."""
COLUMNS = 256
"""Columns at a time: they and their partners stay in the cache."""


def column_squares(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared norm of each column, added up row by row: where columns are many, that keeps to the order in memory."""
    total = np.zeros(matrix.shape[1])
    for start in range(0, len(matrix), ROWS):
        block = matrix[start : start + ROWS]
        total += np.einsum("nf,nf->f", block, block)
    return total


def column_products(
    columns: Float[Tensor, "neuron feature"], rows: Float[Tensor, "feature neuron"]
) -> Float[Tensor, " feature"]:
    """The inner product of each column of one matrix with the same row of another."""
    pairs = zip(columns.split(COLUMNS, dim=1), rows.split(COLUMNS), strict=True)
    return torch.cat([(torch.empty_like(some).copy_(partners.T) * some).sum(0) for some, partners in pairs])
