"""S1.F6: which neurons and which features of the same dictionary are active when a feature is."""

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from polysem.saes.entries import SparseEntries
from polysem.tables.labels import index, labelled, variable
from polysem.tables.survey.blocks import Block
from polysem.tables.survey.recording import SecondLook
from polysem.tables.survey.windows import opened

RANKS = 5
OUTER_DENSE_ABOVE = 0.2
"""Share of active entries above which a matrix product with neurons is faster than a sum over entries."""
DENSE_ABOVE = 0.05
"""Share of active entries above which a matrix product of features with features is faster than one of lists."""
TILE = 1 << 24
"""Pairs of features that are counted at once: 128 MiB. Each tile reads the record of the pass once."""
CHUNK = 1 << 22
"""Entries that are multiplied at once."""
PRODUCTS = 1 << 18
"""Products of two activations of a token that are held at once: 3 MiB stay in the cache."""
Sums = NDArray[np.float64]


class Correlation:
    """Pearson correlations over all tokens: of each feature with each neuron, added up over blocks, and with each other
    feature, tile by tile from a second look. Features are 0 where they are not active; neurons are taken as they are.
    """

    def __init__(self, features: int, neurons: int) -> None:
        self._shift = torch.zeros(neurons)
        self._tokens = 0
        self._products = torch.zeros(features, neurons, dtype=torch.float64)
        self._sum = torch.zeros(neurons, dtype=torch.float64)
        self._squares = torch.zeros(neurons, dtype=torch.float64)

    def add(self, block: Block) -> None:
        """Take the tokens of a block. Neurons count from their means in the first block, so that nothing cancels."""
        if not self._tokens:
            self._shift = block.x.mean(0)
        x = block.x - self._shift
        self._tokens += block.tokens
        self._sum += x.sum(0, dtype=torch.float64)
        self._squares += x.square().sum(0, dtype=torch.float64)
        entries = block.entries
        if entries.count() <= OUTER_DENSE_ABOVE * entries.tokens * entries.features:
            self._products += entries.outer(entries.value, x)
            return
        for start, dense in opened(entries, entries.features):
            self._products += torch.from_numpy(dense).T @ x[start : start + len(dense)]

    def table(self, frequency: xr.Dataset, again: SecondLook, neurons: bool) -> xr.Dataset:
        """The correlations of the table `associations`.

        Over (`feature`, `rank`), largest first: `correlated_neuron` and `neuron_correlation`, `correlated_feature` and
        `feature_correlation`. A feature is not its own partner; nor is a neuron where the features are the `neurons`.
        −1 and NaN where there are fewer partners, a constant one being none, and for a feature that is constant.
        """
        mean, deviation = (frequency[name].values for name in ("mean", "standard_deviation"))
        with_neurons = [self._with_neurons(part, mean, deviation, neurons) for part in _tiles(*self._products.shape)]
        with_features = [
            _best(_correlations(_covariances(part, mean, self._tokens, again, dense), deviation[part], deviation), part)
            for dense in [float(frequency["frequency"].mean()) > DENSE_ABOVE]
            for part in _tiles(len(mean), len(mean))
        ]
        variables = {}
        for kind, found in (("neuron", with_neurons), ("feature", with_features)):
            partner, correlation = (np.concatenate(part) for part in zip(*found, strict=True))
            variables[f"correlated_{kind}"] = variable(
                ("feature", "rank"), partner, f"{kind} whose activation correlates most", "1"
            )
            variables[f"{kind}_correlation"] = variable(
                ("feature", "rank"), correlation, f"Pearson correlation with that {kind} over all tokens", "1"
            )
        coordinates = {
            "feature": index("feature", 0, len(mean), "feature"),
            "rank": index("rank", 1, RANKS + 1, "rank"),
        }
        return labelled(variables, coordinates, {"tokens": self._tokens})

    def _with_neurons(
        self, part: slice, mean: Sums, deviation: Sums, neurons: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        covariance = (self._products[part] / self._tokens).numpy()
        shifted = (self._sum / self._tokens).numpy()
        covariance -= np.outer(mean[part], shifted)
        spread = np.sqrt(np.maximum((self._squares / self._tokens).numpy() - shifted**2, 0))
        return _best(_correlations(covariance, deviation[part], spread), part if neurons else None)


def _tiles(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, TILE // columns)
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _covariances(part: slice, mean: Sums, tokens: int, again: SecondLook, dense: bool) -> Sums:
    """Covariances [feature of the tile, feature]."""
    features = len(mean)
    products = np.zeros((part.stop - part.start, features))
    if dense:
        centre = mean.astype(np.float32)
        for look in again():
            for _, matrix in opened(look.entries, features):
                centred = matrix - centre
                products += centred[:, part].T @ centred
        return products / tokens
    for chunk in _chunks(again):
        _add_products(products, chunk, part)
    return products / tokens - np.outer(mean[part], mean)


def _add_products(products: Sums, chunk: sparse.csr_array, part: slice) -> None:
    """Add the inner products of columns of a sparse matrix [token, feature], those of a tile with all.

    For each feature the rows of its tokens, weighted, are put together as one row, whose repeated columns add up when
    it is made dense: several times faster than a sparse product, whose result would be as dense.
    """
    columns = chunk[:, part].tocsc()
    lengths = np.diff(chunk.indptr)[columns.indices]
    work = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])[columns.indptr]
    start = 0
    while start < len(products):
        stop = max(start + 1, int(np.searchsorted(work, work[start] + PRODUCTS, side="right")) - 1)
        first, last = columns.indptr[start], columns.indptr[stop]
        rows = chunk[columns.indices[first:last]]
        rows.data *= np.repeat(columns.data[first:last], lengths[first:last])
        ends = rows.indptr[columns.indptr[start : stop + 1] - first]
        shape = (stop - start, products.shape[1])
        products[start:stop] += sparse.csr_array((rows.data, rows.indices, ends), shape=shape).toarray()
        start = stop


def _chunks(again: SecondLook) -> Iterator[sparse.csr_array]:
    """All tokens as sparse matrices [token, feature] of about `CHUNK` entries."""
    waiting: list[SparseEntries] = []
    for look in again():
        waiting.append(look.entries)
        if sum(entries.count() for entries in waiting) >= CHUNK:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[SparseEntries]) -> sparse.csr_array:
    counts = torch.cat([torch.bincount(part.row, minlength=part.tokens) for part in parts])
    starts = np.concatenate([[0], np.cumsum(counts.numpy())]).astype(np.int32)
    feature = torch.cat([part.feature for part in parts]).int().numpy()
    value = torch.cat([part.value for part in parts]).double().numpy()
    return sparse.csr_array((value, feature, starts), shape=(len(counts), parts[0].features))


def _correlations(covariance: Sums, left: Sums, right: Sums) -> Float[Tensor, "row column"]:
    """−inf where one of both is constant."""
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance /= left[:, None]
        covariance /= right
    covariance[:, right <= 0] = -np.inf
    covariance[left <= 0] = -np.inf
    return torch.from_numpy(covariance.astype(np.float32)).clamp_(max=1.0)


def _best(
    correlation: Float[Tensor, "row column"], selves: slice | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The partners with the largest correlations [row, rank]; `selves` are the columns that are the rows themselves."""
    if selves is not None:
        correlation[torch.arange(len(correlation)), torch.arange(selves.start, selves.stop)] = -torch.inf
    value, partner = correlation.topk(min(RANKS, correlation.shape[1]), dim=1)
    known = torch.isfinite(value)
    found = np.full((len(correlation), RANKS), -1, np.int32)
    found[:, : value.shape[1]] = torch.where(known, partner, -1).numpy()
    size = np.full((len(correlation), RANKS), np.nan, np.float32)
    size[:, : value.shape[1]] = torch.where(known, value, torch.nan).numpy()
    return found, size
