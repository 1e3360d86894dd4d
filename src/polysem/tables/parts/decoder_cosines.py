"""S2.F14: cosines between decoder rows, over all pairs without any matrix of pairs."""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg.blas import ssyrk
from torch import Tensor

from polysem.numerics.norms import column_squares
from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import scalar, variable
from polysem.tables.parts.neuron_sparsity import sparsity_classes

BIN_EDGES = np.linspace(-1, 1, 401)
SAMPLE = 1024
"""Rows whose cosines go into a histogram: 524,000 pairs show any shape."""
BLOCK = 512
"""Rows whose outer products are added at once: they are scaled to norm 1 in the cache, and never all of them copied."""
TINY = 1e-12
"""Norm that shorter rows are divided by; a row of zeros stays one."""

Rows = Float[Tensor, "feature neuron"]


@dataclass(frozen=True)
class Moments:
    """Of rows scaled to norm 1: how many there are, their sum, and the upper triangle of their outer products' sum."""

    rows: int
    total: NDArray[np.float64]
    second: NDArray[np.float32]

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.rows + other.rows, self.total + other.total, self.second + other.second)

    def mean_and_variance(self) -> tuple[float, float]:
        """Of the cosines of all pairs of two different rows; NaN if there are fewer than two rows.

        The sum of the cosines is ‖Σ u‖² - rows and that of their squares ‖Σ u uᵀ‖² - rows.
        """
        pairs = self.rows * (self.rows - 1)
        if not pairs:
            return float("nan"), float("nan")
        mean = (float(self.total @ self.total) - self.rows) / pairs
        columns, diagonal = column_squares(self.second.T).sum(), self.second.diagonal().astype(np.float64)
        squares = float(2 * columns - diagonal @ diagonal)
        return mean, max(0.0, (squares - self.rows) / pairs - mean**2)


def pair_variables(
    decoder: Rows, usual: NDArray[np.bool_], alignment: xr.Dataset, analysis: Analysis
) -> tuple[dict[str, xr.Variable], dict[str, xr.Variable]]:
    """Cosines of all pairs of decoder rows of frequent features, with and without neuron-sparse ones, and of random
    directions; `decoder_cosine_pairs` [kind, cosine_bin] counts pairs of at most 1,024 rows of each kind."""
    dense = sparsity_classes(alignment, analysis).values == "dense"
    chosen = {"frequent": np.flatnonzero(usual), "frequent_dense": np.flatnonzero(usual & dense)}
    of_dense = moments(decoder, chosen["frequent_dense"])
    all_usual = of_dense + moments(decoder, np.flatnonzero(usual & ~dense))
    random = random_rows(decoder.shape[1], analysis.baseline_seed)
    cosines = {kind: pair_cosines(decoder, features) for kind, features in chosen.items()}
    cosines["random"] = pair_cosines(random, np.arange(len(random)))
    kinds = {
        "frequent": (len(chosen["frequent"]), all_usual.mean_and_variance(), "frequent features"),
        "frequent_dense": (
            len(chosen["frequent_dense"]),
            of_dense.mean_and_variance(),
            "frequent features that are not neuron-sparse",
        ),
        "random": (len(random), mean_and_variance(cosines["random"]), "random directions"),
    }
    variables: dict[str, xr.Variable] = {}
    for kind, (rows, (mean, variance), words) in kinds.items():
        variables[f"{kind}_decoder_rows"] = scalar(rows, f"{words}: decoder rows", "feature")
        variables[f"{kind}_decoder_cosine_mean"] = scalar(mean, f"{words}: mean cosine of two decoder rows", "1")
        variables[f"{kind}_decoder_cosine_variance"] = scalar(variance, f"{words}: variance of the cosine", "1")
    variables["isotropic_cosine_variance"] = scalar(
        1 / decoder.shape[1], "variance of the cosine of two random directions, 1/neurons", "1"
    )
    counts = np.stack([histogram(cosines[kind]) for kind in kinds])
    variables["decoder_cosine_pairs"] = variable(
        ("kind", "cosine_bin"), counts, f"pairs among at most {SAMPLE:,} decoder rows", "pair"
    )
    bins: dict[str, xr.Variable] = {
        "kind": variable("kind", list(kinds), "rows that are paired", "1"),
        "cosine_edge": variable("cosine_edge", BIN_EDGES, "edges of the bins of the cosine", "1"),
    }
    return variables, bins


def moments(rows: Rows, chosen: NDArray[np.int64]) -> Moments:
    """Moments of some rows, in float32: in bfloat16 they would take 60 % of the time, and the variance would be off by
    2e-4 of random rows, by 2e-3 of rows with the same two neurons and by more than itself of rows that are all alike.
    """
    neurons = rows.shape[1]
    total, second = np.zeros(neurons), np.zeros((neurons, neurons), np.float32, order="F")
    for start in range(0, len(chosen), BLOCK):
        unit = _unit(rows, chosen[start : start + BLOCK])
        total += unit.sum(0, dtype=np.float64)
        second = ssyrk(1.0, unit.T, 1.0, second, overwrite_c=True)
    return Moments(len(chosen), total, second)


def products(rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """The upper triangle of a matrix with the eigenvalues of Σ u uᵀ over some rows u, scaled to norm 1.

    Their outer products [neuron, neuron] or, of fewer rows, their cosines; the eigenvalues left out are 0. Either is
    half the work of a product of matrices.
    """
    return moments(rows, chosen).second if len(chosen) >= rows.shape[1] else _cosines(rows, chosen)


def pair_cosines(rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """The cosine of each pair of at most 1,024 of some rows, evenly spaced among them."""
    if len(chosen) < 2:
        return np.zeros(0, np.float32)
    places = np.linspace(0, len(chosen) - 1, min(len(chosen), SAMPLE)).astype(np.int64)
    return _cosines(rows, chosen[places])[np.triu_indices(len(places), 1)]


def mean_and_variance(cosines: NDArray[np.float32]) -> tuple[float, float]:
    """Of cosines of pairs; NaN if there are none."""
    exact = cosines.astype(np.float64)
    return (float(exact.mean()), float(exact.var())) if exact.size else (float("nan"), float("nan"))


def histogram(cosines: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many are in each bin of `BIN_EDGES`."""
    return np.histogram(cosines.clip(-1, 1), len(BIN_EDGES) - 1, (-1, 1))[0]


def random_rows(neurons: int, seed: int) -> Float[Tensor, "row neuron"]:
    """1,024 directions drawn at random."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((SAMPLE, neurons), np.float32))


def _unit(rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    unit = rows[torch.from_numpy(chosen)]
    unit /= torch.linalg.vector_norm(unit, dim=1, keepdim=True).clamp(min=TINY)
    return unit.numpy()


def _cosines(rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    return ssyrk(1.0, _unit(rows, chosen).T, trans=True)
