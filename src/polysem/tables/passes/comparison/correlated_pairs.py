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

COUNTS = 100
"""Numbers of largest activations, at most, for which it is computed what is left without them."""

Order = Int[NDArray, " token"]
Candidates = tuple[Int[NDArray, " pair"], Int[NDArray, " pair"]]


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


class PairSearch:
    """The search for pairs of comparable features whose activations correlate well (Pearson, over the tokens).

    Features are held against others in tiles, by sparse products in float32, or by dense ones where many are active.
    What may come near to the limit is computed again in float64, so that the result does not depend on which product
    found it. Features that are active on too few tokens are not held against y: the best that activations on k tokens
    can do is to equal the k largest values of y, but for scale and offset. Then the squared correlation is the share of
    y's variation that is not among its other values, 1 − SS(others) / SS(y), with sums of squares around the mean of
    each.
    """

    def __init__(self, codes: Codes, least: float) -> None:
        """`least` is the limit. ValueError unless it is above 0, and 1 at most."""
        if not 0 < least <= 1:
            raise ValueError(
                f"pairs are asked for that correlate at least {least}; it has to be above 0, and 1 at most"
            )
        known = np.flatnonzero(codes.comparable)
        self._codes, self._least = codes, least
        self._known = known[np.argsort(-codes.active[known], kind="stable")]
        self._tiles = [_tile(codes, self._known, start, least) for start in range(0, len(known), TILE)]

    def pairs(self, order: Order | None = None) -> Pairs:
        """All pairs that correlate at least so well. With `order` one feature of each pair, that which is active on
        fewer tokens, has its tokens in that order: what correlates then does so by chance."""
        candidates = [np.zeros((2, 0), np.int64), *self._candidates(order)]
        ours, theirs = self._known[np.concatenate(candidates, axis=1)]
        correlation = _in_float64(self._codes, ours, theirs, order)
        first, second = np.minimum(ours, theirs), np.maximum(ours, theirs)
        by_number = np.lexsort((second, first))
        return Pairs(first[by_number], second[by_number], correlation[by_number]).reaching(self._least)

    def _candidates(self, order: Order | None) -> Iterator[Int[NDArray, "2 pair"]]:
        """Places among the known features, most active first, of pairs that may correlate so well, the lower above."""
        shuffled = self._tiles if order is None else [tile.reordered(order) for tile in self._tiles]
        for number, tile in enumerate(self._tiles):
            dense = None
            for other in shuffled[number:]:
                if other.active < tile.fewest:
                    break
                if tile.products(other) * DENSE_WORK < float(self._codes.tokens) * TILE**2:
                    row, column = tile.sparse_candidates(other, self._least)
                else:
                    dense = tile.by_token.T.toarray() if dense is None else dense
                    row, column = tile.dense_candidates(dense, other, self._least)
                pairs = np.stack([row + np.int64(tile.start), column + np.int64(other.start)])
                yield pairs[:, pairs[0] < pairs[1]]


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

    def reordered(self, order: Order) -> "_Tile":
        """With its tokens in this order; to be the other tile alone."""
        return replace(self, by_token=self.by_token[order])

    def products(self, other: "_Tile") -> float:
        """Multiplications that a sparse product takes."""
        tokens = self.by_token.shape[0]
        return float(np.bincount(self.largest.indices, minlength=tokens) @ np.diff(other.by_token.indptr).astype(float))

    def sparse_candidates(self, other: "_Tile", least: float) -> Candidates:
        """By the largest activations alone. The rest of a feature, y, adds ⟨u, y⟩ to its correlation with another, u,
        of mean 0 and norm 1: no more than the norm of y without its mean, `REST` of `least` at most."""
        limit = (1 - REST) * least - ROUNDING
        found = self.largest @ other.by_token
        near = np.flatnonzero(found.data >= limit)
        row, column = np.searchsorted(found.indptr, near, side="right") - 1, found.indices[near]
        offset = np.asarray(self.largest.sum(axis=1)) / np.sqrt(self.by_token.shape[0])
        kept = found.data[near] - offset[row] * other.mean[column] >= limit
        return row[kept], column[kept]

    def dense_candidates(self, dense: Float[NDArray, "feature token"], other: "_Tile", least: float) -> Candidates:
        """By all activations; `dense` are those of this tile."""
        whole = dense @ other.by_token.toarray()
        row, column = np.nonzero(whole >= least - ROUNDING)
        kept = whole[row, column] - self.mean[row] * other.mean[column] >= least - ROUNDING
        return row[kept], column[kept]


def _tile(codes: Codes, known: Int[NDArray, " feature"], start: int, least: float) -> _Tile:
    some = known[start : start + TILE]
    matrix, active = codes.matrix[:, some], codes.active[some]
    scale = np.repeat(1 / (np.sqrt(codes.tokens) * codes.deviation[some]), active)
    scaled = sparse.csc_array(((matrix.data * scale).astype(np.float32), matrix.indices, matrix.indptr), matrix.shape)
    value = np.zeros((len(some), active.max()), np.float32)
    value[np.arange(active.max()) < active[:, None]] = scaled.data
    value[:, ::-1].sort(axis=1)
    without, apart, rest = _left_over(value, codes.tokens)
    fewest = without[np.maximum(0, (apart <= 1 - least**2 + ROUNDING).argmax(axis=1) - 1)] + 1
    kept = np.maximum(1, without[(rest <= (REST * least) ** 2).argmax(axis=1)])
    large = scaled.data >= np.repeat(value[np.arange(len(some)), kept - 1], active)
    ends = np.concatenate([[0], np.cumsum(large)])[scaled.indptr]
    largest = sparse.csr_array((scaled.data[large], scaled.indices[large], ends), (len(some), codes.tokens))
    mean = codes.mean[some] / codes.deviation[some]
    return _Tile(start, scaled.tocsr(), mean, int(active[0]), int(fewest.min()), largest)


def _left_over(
    value: Float[NDArray, "feature rank"], tokens: int
) -> tuple[Int[NDArray, " some"], Float[NDArray, "feature some"], Float[NDArray, "feature some"]]:
    """What is left of activations, largest first, without some of the largest, as sums of squares around means: of the
    other tokens among themselves, and of all tokens with 0 in place of the largest.

    For no more than `COUNTS` numbers of the largest, which come first; the last is all of them.
    """
    width = value.shape[1]
    without = np.unique(np.geomspace(1, width + 1, COUNTS).round().astype(np.int64)) - 1
    sums, squares = (
        np.cumsum(np.add.reduceat(part, without[:-1], axis=1, dtype=np.float64)[:, ::-1], axis=1)[:, ::-1]
        for part in (value, np.square(value))
    )
    sums, squares = (np.concatenate([part, np.zeros((len(value), 1))], axis=1) for part in (sums, squares))
    others = np.maximum(tokens - without, 1)
    return without, squares - sums**2 / others, squares - sums**2 / tokens


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
