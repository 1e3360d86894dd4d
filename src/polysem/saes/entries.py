"""Products over the active entries of a batch: all that training needs beside the search for them.

A token has a few dozen active features of thousands. Decoding, the gradient at active features and both weight
gradients then run over a list of entries (`SparseEntries`). Where many features are active, as at the start of training
with an L1 penalty, matrix products with a mask are faster (`DenseEntries`). Both offer the same products, so that an
architecture is written once; a number per entry is a vector for the one and a matrix that is 0 at inactive places for
the other.
"""

import math
import warnings
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.saes.readings import Scalar, reading

PerEntry = Float[Tensor, "*entry"]
"""A number for each active entry: [entry], or [token, feature] with 0 at inactive places."""

with warnings.catch_warnings():  # torch says once in a process that these are in beta
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()


class Entries(Protocol):
    """The active entries of a batch and their values."""

    value: PerEntry

    def sums(self, weight: PerEntry, table: Float[Tensor, "feature column"]) -> Float[Tensor, "token column"]:
        """For each token, the sum of the table's rows of its active features, weighted."""

    def dots(self, left: Float[Tensor, "token column"], table: Float[Tensor, "feature column"]) -> PerEntry:
        """For each entry, the inner product of its token's row of `left` and its feature's row of `table`."""

    def outer(self, weight: PerEntry, right: Float[Tensor, "token column"]) -> Float[Tensor, "feature column"]:
        """For each feature, the sum of the rows of its tokens, weighted."""

    def per_token(self, weight: PerEntry) -> Float[Tensor, " token"]:
        """Sum over the entries of each token."""

    def per_feature(self, weight: PerEntry) -> Float[Tensor, " feature"]:
        """Sum over the entries of each feature."""

    def of_token(self, values: Float[Tensor, " token"]) -> PerEntry:
        """The number of each entry's token."""

    def of_feature(self, values: Float[Tensor, " feature"]) -> PerEntry:
        """The number of each entry's feature."""

    def where(self, condition: Tensor, value: PerEntry) -> PerEntry:
        """The value at the active entries that meet a condition, 0 elsewhere."""

    def firings(self) -> Int[Tensor, " feature"]:
        """Number of tokens on which each feature is active."""

    def recency(self, momentum: float) -> PerEntry:
        """For each entry, the momentum to the power of the number of later tokens that its feature is active on."""

    def first_tokens(self, features: Int[Tensor, " chosen"]) -> Int[Tensor, " chosen"]:
        """The first token that each of some features is active on, of which none may be inactive."""

    def count(self) -> Scalar:
        """Number of active entries."""

    def keep(self, condition: Tensor) -> "Entries":
        """The entries that meet a condition."""

    def columns(self, start: int, stop: int) -> "Entries":
        """The entries of the features from `start` to before `stop`, which are counted from 0 then."""


class SparseEntries:
    """Entries as a list, row by row. On a GPU products are still those of matrices, in bfloat16: it makes all of one in
    less time than it fetches the rows for some."""

    def __init__(
        self,
        row: Int[Tensor, " entry"],
        feature: Int[Tensor, " entry"],
        value: Float[Tensor, " entry"],
        shape: tuple[int, int],
    ) -> None:
        self.row, self.feature, self.value = row, feature, value
        self.tokens, self.features = shape

    @cached_property
    def row_starts(self) -> Int[Tensor, " token"]:
        """Where the entries of each token begin."""
        return starts(self.row, self.tokens)

    @cached_property
    def by_feature(self) -> tuple[Int[Tensor, " entry"], Int[Tensor, " entry"], Int[Tensor, " feature"]]:
        """The order by feature, the row of each entry in that order, and where each feature begins."""
        order = _stable_order(self.feature, self.features)
        first = torch.zeros_like(self.firings())
        torch.cumsum(self.firings()[:-1], 0, out=first[1:])
        return order, self.row[order], first

    def sums(self, weight: PerEntry, table: Float[Tensor, "feature column"]) -> Float[Tensor, "token column"]:
        """See `Entries.sums`."""
        if weight.is_cuda:
            return product(self._matrix(weight), table, torch.bfloat16, table.dtype)
        return F.embedding_bag(self.feature, table, self.row_starts, mode="sum", per_sample_weights=weight)

    def dots(self, left: Float[Tensor, "token column"], table: Float[Tensor, "feature column"]) -> PerEntry:
        """See `Entries.dots`."""
        if left.is_cuda:
            return product(left, table.T, torch.bfloat16, left.dtype)[self.row, self.feature]
        ends = torch.cat([self.row_starts, torch.tensor([len(self.feature)])])
        places = torch.sparse_csr_tensor(
            ends, self.feature, left.new_zeros(len(self.feature)), (self.tokens, self.features), check_invariants=False
        )
        return torch.sparse.sampled_addmm(places, left, table.T, beta=0.0).values()

    def outer(self, weight: PerEntry, right: Float[Tensor, "token column"]) -> Float[Tensor, "feature column"]:
        """See `Entries.outer`."""
        if weight.is_cuda:
            return product(self._matrix(weight).T, right, torch.bfloat16, right.dtype)
        order, row, first = self.by_feature
        return F.embedding_bag(row, right, first, mode="sum", per_sample_weights=weight[order])

    def _matrix(self, weight: PerEntry) -> Float[Tensor, "token feature"]:
        matrix = weight.new_zeros((self.tokens, self.features), dtype=torch.bfloat16)
        matrix[self.row, self.feature] = weight.to(matrix.dtype)
        return matrix

    def per_token(self, weight: PerEntry) -> Float[Tensor, " token"]:
        """See `Entries.per_token`."""
        return weight.new_zeros(self.tokens).index_add_(0, self.row, weight)

    def per_feature(self, weight: PerEntry) -> Float[Tensor, " feature"]:
        """See `Entries.per_feature`."""
        return weight.new_zeros(self.features).index_add_(0, self.feature, weight)

    def of_token(self, values: Float[Tensor, " token"]) -> PerEntry:
        """See `Entries.of_token`."""
        return values[self.row]

    def of_feature(self, values: Float[Tensor, " feature"]) -> PerEntry:
        """See `Entries.of_feature`."""
        return values[self.feature]

    def where(self, condition: Tensor, value: PerEntry) -> PerEntry:
        """See `Entries.where`."""
        return torch.where(condition, value, 0.0)

    @cached_property
    def _firings(self) -> Int[Tensor, " feature"]:
        return torch.bincount(self.feature, minlength=self.features)

    def firings(self) -> Int[Tensor, " feature"]:
        """See `Entries.firings`."""
        return self._firings

    def recency(self, momentum: float) -> PerEntry:
        """See `Entries.recency`."""
        order, _, first = self.by_feature
        later = self.of_feature(first + self.firings() - 1)
        later[order] -= torch.arange(len(order), device=order.device)
        return torch.exp(later * _logarithm(momentum))

    def first_tokens(self, features: Int[Tensor, " chosen"]) -> Int[Tensor, " chosen"]:
        """See `Entries.first_tokens`."""
        _, row, first = self.by_feature
        return row[first[features]]

    def count(self) -> int:
        """See `Entries.count`."""
        return len(self.value)

    def keep(self, condition: Bool[Tensor, " entry"]) -> "SparseEntries":
        """The entries that meet a condition."""
        kept = torch.nonzero(condition).view(-1)
        return SparseEntries(self.row[kept], self.feature[kept], self.value[kept], (self.tokens, self.features))

    def columns(self, start: int, stop: int) -> "SparseEntries":
        """See `Entries.columns`."""
        kept = torch.nonzero((self.feature >= start) & (self.feature < stop)).view(-1)
        feature = self.feature[kept] - start
        return SparseEntries(self.row[kept], feature, self.value[kept], (self.tokens, stop - start))

    def joined(self, row: Int[Tensor, " entry"], other: "SparseEntries") -> "SparseEntries":
        """These entries and those of some other tokens, whose rows are given here."""
        rows = torch.cat([self.row, row])
        order = torch.argsort(rows, stable=True)
        feature, value = torch.cat([self.feature, other.feature])[order], torch.cat([self.value, other.value])[order]
        return SparseEntries(rows[order], feature, value, (self.tokens, self.features))


class DenseEntries:
    """Entries as matrices [token, feature] that are 0 where a feature is not active. Products with tables run in
    `precision`, sums in float32."""

    def __init__(
        self,
        active: Bool[Tensor, "token feature"],
        pre: Float[Tensor, "token feature"],
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.active = active
        self.value = torch.where(active, pre, 0.0)
        self._precision = precision

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        return product(left, right, self._precision, self.value.dtype)

    def sums(self, weight: PerEntry, table: Float[Tensor, "feature column"]) -> Float[Tensor, "token column"]:
        """See `Entries.sums`."""
        return self._product(weight, table)

    def dots(self, left: Float[Tensor, "token column"], table: Float[Tensor, "feature column"]) -> PerEntry:
        """See `Entries.dots`."""
        return torch.where(self.active, self._product(left, table.T), 0.0)

    def outer(self, weight: PerEntry, right: Float[Tensor, "token column"]) -> Float[Tensor, "feature column"]:
        """See `Entries.outer`."""
        return self._product(weight.T, right)

    def per_token(self, weight: PerEntry) -> Float[Tensor, " token"]:
        """See `Entries.per_token`."""
        return weight.sum(1)

    def per_feature(self, weight: PerEntry) -> Float[Tensor, " feature"]:
        """See `Entries.per_feature`."""
        return weight.sum(0)

    def of_token(self, values: Float[Tensor, " token"]) -> PerEntry:
        """See `Entries.of_token`."""
        return torch.where(self.active, values[:, None], 0.0)

    def of_feature(self, values: Float[Tensor, " feature"]) -> PerEntry:
        """See `Entries.of_feature`."""
        return torch.where(self.active, values, 0.0)

    def where(self, condition: Tensor, value: PerEntry) -> PerEntry:
        """See `Entries.where`."""
        return torch.where(self.active & condition, value, 0.0)

    @cached_property
    def _firings(self) -> Int[Tensor, " feature"]:
        return self.active.sum(0)

    def firings(self) -> Int[Tensor, " feature"]:
        """See `Entries.firings`."""
        return self._firings

    def recency(self, momentum: float) -> PerEntry:
        """See `Entries.recency`."""
        met = self.active.cumsum(0, dtype=torch.int32)  # a GPU adds floats up in an order of its own
        earlier = (met - met[-1]).to(self.value.dtype)
        return earlier.mul_(-_logarithm(momentum)).exp_().mul_(self.active)

    def first_tokens(self, features: Int[Tensor, " chosen"]) -> Int[Tensor, " chosen"]:
        """See `Entries.first_tokens`."""
        return self.active[:, features].to(torch.uint8).argmax(0)

    def count(self) -> Scalar:
        """See `Entries.count`."""
        return reading(self._firings.sum())

    def keep(self, condition: Bool[Tensor, "token feature"]) -> "DenseEntries":
        """The entries that meet a condition."""
        return DenseEntries(self.active & condition, self.value, self._precision)

    def columns(self, start: int, stop: int) -> "DenseEntries":
        """See `Entries.columns`."""
        return DenseEntries(self.active[:, start:stop], self.value[:, start:stop], self._precision)


def starts(ascending: Int[Tensor, " entry"], count: int) -> Int[Tensor, " bag"]:
    """Where each of `count` bags begins in a list of ascending bag numbers."""
    lengths = torch.bincount(ascending, minlength=count)
    first = torch.zeros_like(lengths)
    torch.cumsum(lengths[:-1], 0, out=first[1:])
    return first


def product(left: Tensor, right: Tensor, precision: torch.dtype, result: torch.dtype) -> Tensor:
    """A product of matrices of numbers rounded to `precision`; on a GPU it is added up and stays in `result`."""
    left, right = left.to(precision), right.to(precision)
    if left.is_cuda and precision != result:
        return torch.mm(left, right, out_dtype=result)
    return (left @ right).to(result)


def _stable_order(feature: Int[Tensor, " entry"], features: int) -> Int[Tensor, " entry"]:
    """The order by feature, of equal ones the first first. NumPy sorts short numbers by counting them, in a fifth of
    torch's time on a CPU."""
    if feature.is_cuda:
        return feature.argsort(stable=True)
    short = np.uint16 if features <= 1 << 16 else np.uint32
    return torch.from_numpy(np.argsort(feature.numpy().astype(short), kind="stable"))


def _logarithm(momentum: float) -> float:
    """Finite for 0, too, of which every power but the 0th is 0."""
    return math.log(momentum) if momentum else -1e4
