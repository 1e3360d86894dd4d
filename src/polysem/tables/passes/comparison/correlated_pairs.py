"""All pairs of features that correlate well: the work grows with active entries, and no matrix holds all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
"""More than the error of a correlation by products in float32; what comes so near to the limit is computed again."""
REST = 0.6
"""What may be left out of a feature for sparse products, as a share of the correlation that is asked for."""
ENTRIES = 1 << 22
"""Active entries of the pairs that are computed again together."""

Order = Int[NDArray, " token"]


@dataclass(frozen=True)
class Pairs:
    """Pairs of features, by `first` and then `second`; `first` is the smaller number."""

    first: Int[NDArray, " pair"]
    second: Int[NDArray, " pair"]
    correlation: Float[NDArray, " pair"]

    def __len__(self) -> int:
        return len(self.first)

    def reaching(self, least: float) -> "Pairs":
        """Those that correlate at least so well."""
        kept = self.correlation >= least
        return Pairs(self.first[kept], self.second[kept], self.correlation[kept])


def correlated_pairs(codes: Codes, least: float, order: Order | None = None) -> Pairs:
    """All pairs of comparable features whose activations correlate at least so well (Pearson, over the tokens).

    With `order` one feature of each pair, that which is active on fewer tokens, has its tokens in that order: what
    correlates then does so by chance. Features are held against others in tiles, by sparse products in float32, or by
    dense ones where many are active. What may come near to `least` is computed again in float64, so that the result
    does not depend on which product found it. Raises ValueError unless 0 < `least` ≤ 1.

    Features that are active on too few tokens are not held against y: the best that activations on k tokens can do is
    to equal the k largest values of y, but for scale and offset. Then the squared correlation is the share of y's
    variation that is not among its other values, 1 − SS(others) / SS(y), with sums of squares around the mean of each.
    """
    if not 0 < least <= 1:
        raise ValueError(f"pairs are asked for that correlate at least {least}; that has to be above 0, and 1 at most")
    known = np.flatnonzero(codes.comparable)
    known = known[np.argsort(-codes.active[known], kind="stable")]
    candidates = [np.zeros((2, 0), np.int64), *_candidates(codes, known, least, order)]
    ours, theirs = known[np.concatenate(candidates, axis=1)]
    correlation = _in_float64(codes, ours, theirs, order)
    first, second = np.minimum(ours, theirs), np.maximum(ours, theirs)
    by_number = np.lexsort((second, first))
    return Pairs(first[by_number], second[by_number], correlation[by_number]).reaching(least)


@dataclass(frozen=True)
class _Tile:
    """Some features by token, scaled so that products with another tile are correlations but for the means."""

    start: int
    by_token: sparse.csr_array
    mean: Float[NDArray, " feature"]
    """Mean activation divided by the standard deviation."""
    active: int
    """Tokens on which the first of them is active; the others are active on no more."""
    fewest: int
    """Tokens on which a feature must be active to correlate so well with one of them."""
    largest: sparse.csr_array
    """By feature, the largest of the activations alone."""

    @property
    def per_token(self) -> Float[NDArray, " token"]:
        """Number of features that are active on each token."""
        return np.diff(self.by_token.indptr).astype(np.float64)


def _candidates(
    codes: Codes, known: Int[NDArray, " feature"], least: float, order: Order | None
) -> Iterator[Int[NDArray, "2 pair"]]:
    """Places among the features `known`, most active first, of pairs that may correlate so well, the lower above.

    Sparse products take the largest activations of the one feature alone. The rest of them, y, adds ⟨u, y⟩ at most to
    the correlation with any other, u, of mean 0 and norm 1, which is no more than the norm of y without its mean:
    `REST` of `least`.
    """
    ours = [_tile(codes, known, start, least) for start in range(0, len(known), TILE)]
    theirs = ours if order is None else [replace(tile, by_token=tile.by_token[order]) for tile in ours]
    for number, tile in enumerate(ours):
        largest_per_token = np.bincount(tile.largest.indices, minlength=codes.tokens).astype(np.float64)
        offset = np.asarray(tile.largest.sum(axis=1)) / np.sqrt(codes.tokens)
        dense = None
        for other in theirs[number:]:
            if other.active < tile.fewest:
                break
            if float(largest_per_token @ other.per_token) * DENSE_WORK < float(codes.tokens) * TILE**2:
                limit = (1 - REST) * least - ROUNDING
                found = tile.largest @ other.by_token
                near = np.flatnonzero(found.data >= limit)
                row, column = np.searchsorted(found.indptr, near, side="right") - 1, found.indices[near]
                kept = found.data[near] - offset[row] * other.mean[column] >= limit
            else:
                limit = least - ROUNDING
                dense = tile.by_token.T.toarray() if dense is None else dense
                whole = dense @ other.by_token.toarray()
                row, column = np.nonzero(whole >= limit)
                kept = whole[row, column] - tile.mean[row] * other.mean[column] >= limit
            pairs = np.stack([row[kept] + np.int64(tile.start), column[kept] + np.int64(other.start)])
            yield pairs[:, pairs[0] < pairs[1]]


def _tile(codes: Codes, known: Int[NDArray, " feature"], start: int, least: float) -> _Tile:
    some = known[start : start + TILE]
    matrix, active = codes.matrix[:, some], codes.active[some]
    scale = np.repeat(1 / (np.sqrt(codes.tokens) * codes.deviation[some]), active)
    scaled = sparse.csc_array(((matrix.data * scale).astype(np.float32), matrix.indices, matrix.indptr), matrix.shape)
    value = np.zeros((len(some), active.max()), np.float64)
    value[np.arange(active.max()) < active[:, None]] = scaled.data
    value[:, ::-1].sort(axis=1)
    apart, rest = _left_over(value, codes.tokens)
    fewest = np.maximum(1, (apart <= 1 - least**2 + ROUNDING).argmax(axis=1))
    kept = np.maximum(1, (rest <= (REST * least) ** 2).argmax(axis=1))
    smallest = np.take_along_axis(value, kept[:, None] - 1, axis=1)[:, 0]
    large = scaled.data >= np.repeat(smallest, active).astype(np.float32)
    ends = np.concatenate([[0], np.cumsum(large)])[scaled.indptr]
    largest = sparse.csr_array((scaled.data[large], scaled.indices[large], ends), (len(some), codes.tokens))
    mean = codes.mean[some] / codes.deviation[some]
    return _Tile(start, scaled.tocsr(), mean, int(active[0]), int(fewest.min()), largest)


def _left_over(
    value: Float[NDArray, "feature rank"], tokens: int
) -> tuple[Float[NDArray, "feature count"], Float[NDArray, "feature count"]]:
    """What is left of activations, largest first, without so many of the largest, as sums of squares around means:
    of the other tokens among themselves, and of all tokens with 0 in place of the largest."""
    sums, squares = (
        np.concatenate([whole := part.sum(axis=1, keepdims=True), whole - np.cumsum(part, axis=1)], axis=1)
        for part in (value, value**2)
    )
    others = np.maximum(tokens - np.arange(value.shape[1] + 1), 1)
    return squares - sums**2 / others, squares - sums**2 / tokens


def _in_float64(
    codes: Codes, ours: Int[NDArray, " pair"], theirs: Int[NDArray, " pair"], order: Order | None
) -> Float[NDArray, " pair"]:
    """The correlations of some pairs."""
    found = np.zeros(len(ours))
    together = max(1, ENTRIES // max(1, int(codes.active[ours].max(initial=0))))
    for start in range(0, len(ours), together):
        left, right = ours[start : start + together], theirs[start : start + together]
        other = codes.chosen(right) if order is None else codes.chosen(right).reordered(order)
        products = np.asarray(codes.matrix[:, left].multiply(other.matrix).sum(axis=0)).reshape(-1)
        covariance = products / codes.tokens - codes.mean[left] * codes.mean[right]
        found[start : start + together] = covariance / (codes.deviation[left] * codes.deviation[right])
    return found
