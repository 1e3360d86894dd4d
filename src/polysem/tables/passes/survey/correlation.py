"""S1.F6: which neurons and which features of the same dictionary are active when a feature is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from polysem.saes.entries import SparseEntries
from polysem.tables.parts.labels import index, labelled, variable
from polysem.tables.passes.survey.blocks import Block
from polysem.tables.passes.survey.recording import SecondLook
from polysem.tables.passes.survey.windows import opened

RANKS = 5
OUTER_DENSE_ABOVE = 0.2
"""Share of active entries above which a matrix product with neurons is faster than a sum over entries."""
DENSE_ABOVE = 0.05
"""Share of active entries above which a matrix product of features with features is faster than one of lists."""
TILE = 1 << 24
"""Pairs of features that are counted at once: 128 MiB. Each tile reads the record of the pass once."""
STRIP = 512
"""Features that are counted together where a tile holds all pairs."""
CHUNK, LARGEST_CHUNK = 1 << 19, 1 << 22
"""Entries that are multiplied at once: at least and at most."""
PAIRS_PER_ENTRY = 64
"""Pairs of features for each of them, at most: all sums are added to for every chunk."""
CACHED = 1 << 18
"""Correlations that are compared at once: 2 MiB."""
PRODUCTS = 1 << 18
"""Products of two activations of a token that are held at once: 3 MiB stay in the cache."""
Sums = NDArray[np.float64]


class Correlation:
    """Pearson correlations over all tokens: of each feature with each neuron, added up over blocks, and with each other
    feature, tile by tile from a second look. Features are 0 where they are not active; neurons are taken as they are.
    """

    def __init__(self, features: int, neurons: int) -> None:
        self._shift = torch.zeros(neurons)
        self._centred = torch.zeros(0, neurons)
        """The activations of a block less the shift; the first block is the longest."""
        self._tokens = 0
        self._products = torch.zeros(features, neurons, dtype=torch.float64)
        self._sum = torch.zeros(neurons, dtype=torch.float64)
        self._squares = torch.zeros(neurons, dtype=torch.float64)

    def add(self, block: Block) -> None:
        """Take the tokens of a block. Neurons count from their means in the first block, so that nothing cancels."""
        if not self._tokens:
            self._shift, self._centred = block.x.mean(0), torch.empty_like(block.x)
        x = torch.sub(block.x, self._shift, out=self._centred[: block.tokens])
        self._tokens += block.tokens
        entries = block.entries
        if entries.count() <= OUTER_DENSE_ABOVE * entries.tokens * entries.features:
            self._products += entries.outer(entries.value, x)
        else:
            for start, dense in opened(entries, entries.features):
                self._products += torch.from_numpy(dense).T @ x[start : start + len(dense)]
        ones = torch.ones(block.tokens)
        self._sum += ones @ x
        self._squares += ones @ x.square_()

    def table(self, frequency: xr.Dataset, again: SecondLook, neurons: bool) -> xr.Dataset:
        """The correlations of the table `associations`.

        Over (`feature`, `rank`), largest first: `correlated_neuron` and `neuron_correlation`, `correlated_feature` and
        `feature_correlation`; and `neuron_activation_cosine`, `feature_activation_cosine`, the cosines of both
        activations over all tokens, from which no means are subtracted. A feature is not its own partner; nor is a
        neuron where the features are the `neurons`.
        −1 and NaN where there are fewer partners, a constant one being none, and for a feature that is constant.
        """
        mean, deviation = (torch.from_numpy(frequency[name].values.copy()) for name in ("mean", "standard_deviation"))
        features = Column(mean, deviation)
        shifted = self._sum / self._tokens
        spread = (self._squares / self._tokens - shifted.square()).clamp(min=0).sqrt()
        with_neurons = [
            _best(self._products[part], features.part(part), Column(shifted, spread), self._tokens, part, neurons)
            for part in _tiles(*self._products.shape)
        ]
        dense = float(frequency["frequency"].mean()) > DENSE_ABOVE
        add = _add_dense_products if dense else _add_sparse_products
        with_features = []
        for part in _tiles(len(mean), len(mean)):
            products = torch.zeros(part.stop - part.start, len(mean), dtype=torch.float64)
            add(products, again, part, mean)
            means = Column(torch.zeros_like(mean), deviation) if dense else features
            with_features.append(_best(products, means.part(part), means, self._tokens, part, True))
        variables = {}
        of_neurons = Column(shifted + self._shift.double(), spread)
        for kind, found, others in (
            ("neuron", with_neurons, of_neurons),
            ("feature", with_features, Column(mean, deviation)),
        ):
            partner, correlation = (np.concatenate(part) for part in zip(*found, strict=True))
            variables[f"{kind}_activation_cosine"] = variable(
                ("feature", "rank"),
                _cosines(correlation, features, others, partner),
                f"cosine of its activations and those of that {kind} over all tokens",
                "1",
            )
            variables[f"correlated_{kind}"] = variable(
                ("feature", "rank"), partner, f"{kind} whose activation correlates most", "1"
            )
            variables[f"{kind}_correlation"] = variable(
                ("feature", "rank"), correlation, f"Pearson correlation with that {kind} over all tokens", "1"
            )
        coordinates = {
            "feature": index("feature", 0, len(mean), "feature"),
            "rank": index("rank", 0, RANKS, "place, 0 is the strongest"),
        }
        return labelled(variables, coordinates, {"tokens": self._tokens})


@dataclass(frozen=True)
class Column:
    """Means and standard deviations of the columns of a matrix of activations."""

    mean: Tensor
    deviation: Tensor

    def part(self, part: slice) -> "Column":
        """Those of some columns."""
        return Column(self.mean[part], self.deviation[part])


def _cosines(correlation: Sums, features: Column, partners: Column, partner: NDArray[np.int64]) -> NDArray[np.float32]:
    """Cosines of activations [feature, rank] from Pearson correlations; NaN where there is no partner."""
    mean, deviation = (part.numpy()[:, None] for part in (features.mean, features.deviation))
    other_mean, other_deviation = (part.numpy()[partner] for part in (partners.mean, partners.deviation))
    product = correlation * deviation * other_deviation + mean * other_mean
    sizes = np.sqrt((deviation**2 + mean**2) * (other_deviation**2 + other_mean**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float32] = np.where(partner >= 0, product / sizes, np.nan).astype(np.float32)
    return found


def _tiles(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, TILE // columns)
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _add_dense_products(products: Tensor, again: SecondLook, part: slice, mean: Tensor) -> None:
    """Add the inner products of the features of a tile with all, each less its mean: of many active ones little but
    their means would be left in float32."""
    centre = mean.float()
    for look in again():
        for _, matrix in opened(look.entries, len(mean)):
            centred = torch.from_numpy(matrix) - centre
            products += centred[:, part].T @ centred


def _add_sparse_products(products: Tensor, again: SecondLook, part: slice, mean: Tensor) -> None:
    """Add the inner products of the features of a tile with all, as they are."""
    if len(products) < len(mean):
        for chunk in _chunks(again):
            _add_products(products.numpy(), chunk, part)
        return
    strips = [slice(start, min(start + STRIP, len(mean))) for start in range(0, len(mean), STRIP)]
    for chunk in _chunks(again):
        rest = chunk
        for strip in strips:  # each pair of strips once, the other half is the same
            width = strip.stop - strip.start
            _add_products(products.numpy()[strip, strip.start :], rest, slice(0, width))
            rest = rest[:, width:]
    for strip in strips:
        products[strip.stop :, strip] = products[strip, strip.stop :].T


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
    """All tokens as sparse matrices [token, feature] of bounded numbers of entries."""
    waiting: list[SparseEntries] = []
    for look in again():
        waiting.append(look.entries)
        enough = min(max(CHUNK, look.entries.features**2 // PAIRS_PER_ENTRY), LARGEST_CHUNK)
        if sum(entries.count() for entries in waiting) >= enough:
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


def _best(
    products: Float[Tensor, "row column"], left: Column, right: Column, tokens: int, rows: slice, same: bool
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The partners with the largest correlations [row, rank], from inner products, which are overwritten.

    A row's order is that of its covariances by the partners' deviations, so what is common to a row is divided out
    last. `rows` are the columns that are the rows themselves where both are the `same`.
    """
    scale = 1 / right.deviation
    usable = right.deviation > 0
    ranks = min(RANKS, products.shape[1])
    partner = torch.full((len(products), RANKS), -1)
    correlation = torch.full((len(products), RANKS), torch.nan, dtype=torch.float64)
    own = torch.arange(rows.start, rows.stop)
    size = max(1, CACHED // products.shape[1])
    for start in range(0, len(products), size):
        piece = products[start : start + size]
        piece.mul_(scale).addr_(left.mean[start : start + size], right.mean * scale, alpha=-tokens)
        piece[:, ~usable] = -torch.inf
        if same:
            piece[torch.arange(len(piece)), own[start : start + size]] = -torch.inf
        value, place = piece.topk(ranks, dim=1)
        value /= tokens * left.deviation[start : start + size, None]
        known = torch.isfinite(value)
        partner[start : start + size, :ranks] = torch.where(known, place, -1)
        correlation[start : start + size, :ranks] = torch.where(known, value.clamp(max=1), torch.nan)
    return partner.int().numpy(), correlation.float().numpy()
