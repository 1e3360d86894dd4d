"""Activations of a dictionary's features on a sample of tokens, and their correlations with those of another one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Dictionary

ROWS = 1024
"""Tokens that are encoded together."""
TILE = 1024
"""Features of one dictionary that are held against all of the other together."""
DENSE_WORK = 100
"""A sparse product is chosen where it has so many times fewer multiplications: each takes so much longer."""
FEWEST = 10
"""Features that are active on fewer tokens of the sample have no correlation: a few tokens agree by chance."""


@dataclass(frozen=True)
class Codes:
    """Activations [token, feature] of a dictionary, clamped at 0, as a sparse matrix by columns in float64."""

    matrix: sparse.csc_array

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return int(self.matrix.shape[0])

    @property
    def features(self) -> int:
        """Number of features."""
        return int(self.matrix.shape[1])

    @cached_property
    def active(self) -> Int[NDArray, " feature"]:
        """On how many tokens each feature is active."""
        return np.diff(self.matrix.indptr).astype(np.int64)

    @cached_property
    def mean(self) -> Float[NDArray, " feature"]:
        """Mean over all tokens."""
        return np.asarray(self.matrix.sum(axis=0)).reshape(-1) / self.tokens

    @cached_property
    def deviation(self) -> Float[NDArray, " feature"]:
        """Standard deviation over all tokens (ddof 0)."""
        squares = np.asarray(self.matrix.multiply(self.matrix).sum(axis=0)).reshape(-1) / self.tokens
        return np.sqrt(np.maximum(squares - self.mean**2, 0))

    @cached_property
    def comparable(self) -> NDArray[np.bool_]:
        """Features that are active on at least `FEWEST` tokens, and not the same on all."""
        return (self.active >= FEWEST) & (self.deviation > 1e-9 * np.maximum(self.mean, 1e-30))

    def columns(self, start: int, stop: int) -> "Codes":
        """Features start … stop − 1, as far as there are such."""
        return Codes(self.matrix[:, start:stop])

    def chosen(self, features: Int[NDArray, " some"]) -> "Codes":
        """Some features."""
        return Codes(self.matrix[:, features])

    def shuffled(self, seed: int) -> "Codes":
        """The same with its tokens in another order, which takes away all that it shares with another dictionary."""
        return self.reordered(np.random.default_rng(seed).permutation(self.tokens))

    def reordered(self, order: Int[NDArray, " token"]) -> "Codes":
        """The same with its tokens in this order."""
        return Codes(sparse.csc_array(self.matrix.tocsr()[order]))


def sampled_rows(length: int, wanted: int) -> NDArray[np.int64]:
    """Numbers of `wanted` rows of a store, evenly spread over the first `length`; all of them if there are fewer."""
    return np.linspace(0, length - 1, min(wanted, length)).round().astype(np.int64)


def encode(
    rows: ActivationRows,
    chosen: NDArray[np.int64],
    dictionary: Dictionary,
    device: str = "cpu",
    order: NDArray[np.int64] | None = None,
) -> Codes:
    """The features of a dictionary on some rows of a store; `order` puts the neurons of each row into another order."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(chosen), ROWS):
            block = rows.gather(chosen[start : start + ROWS])
            x = torch.from_numpy(block if order is None else block[:, order]).to(device)
            parts.append(sparse.csr_array(dictionary.encode(x).clamp(min=0).cpu().numpy()))
    return Codes(sparse.csc_array(sparse.vstack(parts, format="csc"), dtype=np.float64))


def correlations(left: Codes, right: Codes) -> Iterator[tuple[int, Float[NDArray, "row feature"]]]:
    """Pearson correlation of all features of two dictionaries over the same tokens, some of the left at a time.

    Gives (first feature of the left, correlations with all of the right); NaN where one of the two is not comparable.
    """
    by_token = right.matrix.tocsr()
    lively = float(right.matrix.nnz) / max(1, right.features * right.tokens)
    for start in range(0, left.features, TILE):
        some = left.columns(start, start + TILE)
        share = float(some.matrix.nnz) / max(1, some.features * some.tokens)
        if share * lively * DENSE_WORK < 1:
            products = (some.matrix.T.tocsr() @ by_token).toarray()
        else:
            products = _dense_products(some, right)
        with np.errstate(divide="ignore", invalid="ignore"):
            covariance = products / left.tokens - np.outer(some.mean, right.mean)
            found = covariance / np.outer(some.deviation, right.deviation)
        found[~some.comparable] = np.nan
        found[:, ~right.comparable] = np.nan
        yield start, found


def _dense_products(left: Codes, right: Codes) -> Float[NDArray, "row feature"]:
    whole = left.matrix.toarray().T
    tiles = range(0, right.features, TILE)
    return np.concatenate([whole @ right.columns(start, start + TILE).matrix.toarray() for start in tiles], axis=1)


def best_correlation(left: Codes, right: Codes) -> tuple[Float[NDArray, " feature"], Int[NDArray, " feature"]]:
    """For each feature of the left, its largest correlation with one of the right and which one that is.

    NaN and −1 for features that are not comparable, and for all if no feature of the right is. The first wins a tie.
    """
    value = np.full(left.features, np.nan)
    feature = np.full(left.features, -1, np.int64)
    for start, found in correlations(left, right):
        filled = np.where(np.isnan(found), -np.inf, found)
        best = filled.argmax(axis=1)
        top = filled[np.arange(len(best)), best]
        known = np.isfinite(top)
        rows = np.arange(start, start + len(best))[known]
        value[rows], feature[rows] = top[known], best[known]
    return value, feature
