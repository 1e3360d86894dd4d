"""All pairs of features that correlate well, found without a matrix of all pairs: the work grows with active entries."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.tables.passes.comparison.codes import Codes

TILE = 512
"""Features that are held against as many others together."""
DENSE_WORK = 200
"""A sparse product is chosen where it has so many times fewer multiplications: each takes so much longer."""
ROUNDING = 1e-4
"""More than the error of a correlation out of products in float32: what comes so near to the limit is computed again."""
ENTRIES = 1 << 22
"""Active entries of the pairs that are computed again together."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of features, in the order of `first` and then `second`; `first` is the smaller number."""

    first: Int[NDArray, " pair"]
    second: Int[NDArray, " pair"]
    correlation: Float[NDArray, " pair"]

    def __len__(self) -> int:
        return len(self.first)


def correlated_pairs(codes: Codes, least: float, order: Int[NDArray, " token"] | None = None) -> Pairs:
    """All pairs of comparable features whose activations correlate at least so well (Pearson, over the tokens).

    With `order` the feature of a pair that is active on fewer tokens has its tokens in that order: what is left is
    chance. A feature that is active on few tokens cannot correlate well with one that is active on many
    (`fewest_tokens`), so features are held against those of a similar frequency, in tiles: by sparse products, or dense
    ones where many are active, in float32. What comes near to `least` is computed again in float64, so the result is
    the same whichever product found it.
    Raises ValueError unless 0 < `least` ≤ 1.
    """
    if not 0 < least <= 1:
        raise ValueError(f"pairs are asked for that correlate {least} or more; it has to be above 0, and at most 1")
    known = np.flatnonzero(codes.comparable)
    known = known[np.argsort(-codes.active[known], kind="stable")]
    left = codes.chosen(known)
    right = left if order is None else left.reordered(order)
    found = [_again(left, right, *candidates, least) for candidates in _candidates(left, right, least)]
    row, column, correlation = (np.concatenate(part) for part in zip(*found, strict=True)) if found else np.zeros((3, 0))
    first, second = known[row.astype(np.int64)], known[column.astype(np.int64)]
    first, second = np.minimum(first, second), np.maximum(first, second)
    by_number = np.lexsort((second, first))
    return Pairs(first[by_number], second[by_number], correlation[by_number])


def fewest_tokens(codes: Codes, least: float) -> Int[NDArray, " feature"]:
    """The fewest tokens on which another feature must be active to correlate at least so well with each feature.

    The best that a feature active on k tokens can do for y is to equal y on its k largest values, up to scale and
    offset; then the squared correlation is the share of y's variance that is left when the other tokens have only their
    own variance: 1 − SS(all but the k largest) / SS(y).
    """
    found = np.ones(codes.features, np.int64)
    matrix = codes.matrix
    for feature in range(codes.features):
        value = np.sort(matrix.data[matrix.indptr[feature] : matrix.indptr[feature + 1]])[::-1]
        rest = codes.tokens - np.arange(len(value) + 1)
        sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (value, value**2))
        left, left_squares = sums[-1] - sums, squares[-1] - squares
        apart = left_squares - np.divide(left**2, rest, out=np.zeros(len(rest)), where=rest > 0)
        reached = apart <= (1 - least**2 + 1e-9) * apart[0]
        found[feature] = max(1, int(reached.argmax()))
    return found


@dataclass(frozen=True)
class _Tile:
    """Some features by token, scaled so that products with another tile are correlations but for the means."""

    start: int
    by_feature: sparse.csc_array
    by_token: sparse.csr_array
    per_token: Float[NDArray, " token"]
    """Number of features that are active on each token."""
    mean: Float[NDArray, " feature"]


def _candidates(left: Codes, right: Codes, least: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs that may correlate so well, by their places; those of the left are active on as many tokens, or more."""
    fewest = fewest_tokens(left, least)
    ours, theirs = _tiles(left), _tiles(right) if right is not left else []
    dense = lru_cache(2)(lambda number: ours[number].by_token.toarray().T)
    for number, tile in enumerate(ours):
        asked = fewest[tile.start : tile.start + TILE].min()
        for other in (theirs or ours)[number:]:
            if left.active[other.start] < asked:
                break
            sparse_work = float(tile.per_token @ other.per_token)
            if sparse_work * DENSE_WORK < float(left.tokens) * len(tile.mean) * len(other.mean):
                product = (tile.by_feature.T @ other.by_token).tocoo()
                row, column, value = product.row, product.col, product.data
            else:
                whole = dense(number) @ other.by_token.toarray()
                row, column = np.nonzero(whole >= least - ROUNDING)
                value = whole[row, column]
            near = value - tile.mean[row] * other.mean[column] >= least - ROUNDING
            row, column = row[near] + np.int64(tile.start), column[near] + np.int64(other.start)
            above = row < column
            yield row[above], column[above]


def _tiles(codes: Codes) -> list[_Tile]:
    matrix = codes.matrix
    scale = 1 / (np.sqrt(codes.tokens) * codes.deviation)
    values = (matrix.data * np.repeat(scale, np.diff(matrix.indptr))).astype(np.float32)
    scaled = sparse.csc_array((values, matrix.indices, matrix.indptr), matrix.shape)
    found = []
    for start in range(0, codes.features, TILE):
        some = scaled[:, start : start + TILE]
        by_token = some.tocsr()
        mean = (codes.mean / codes.deviation)[start : start + TILE]
        found.append(_Tile(start, some, by_token, np.diff(by_token.indptr).astype(np.float64), mean))
    return found


def _again(
    left: Codes, right: Codes, row: NDArray[np.int64], column: NDArray[np.int64], least: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Those of some pairs that correlate at least so well, with their correlations."""
    found = np.zeros(len(row))
    most = max(1, ENTRIES // max(1, int(left.active.max(initial=0))))
    for start in range(0, len(row), most):
        ours, theirs = row[start : start + most], column[start : start + most]
        both = left.matrix[:, ours].multiply(right.matrix[:, theirs]).sum(axis=0) / left.tokens
        covariance = both - left.mean[ours] * right.mean[theirs]
        found[start : start + most] = covariance / (left.deviation[ours] * right.deviation[theirs])
    kept = found >= least
    return row[kept], column[kept], found[kept]
