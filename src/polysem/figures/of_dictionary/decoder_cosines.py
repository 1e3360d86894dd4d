"""S2.F14: whether frequent features share directions more than chance has it."""

from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F14"
READS = ("geometry",)
PARAMS = ("ultra_low_frequency",)
TITLE = "Decoder rows of frequent features against each other"
CAPTION = """\
Cosines between the decoder rows of features at least as frequent as ``analysis.ultra_low_frequency``, the same without
those that are made of few neurons, and between directions drawn at random. Mean and variance are over all pairs. More
variance than that of random directions means that features share directions. Source: document S2, comments.
"""
KINDS: dict[str, tuple[str, Literal["-", "--"], str]] = {
    "frequent": ("real", "-", "frequent features"),
    "frequent_dense": ("10-sparse", "--", "without neuron-sparse ones"),
    "random": ("random", "-", "random directions"),
}
LEAST = 1e-4
"""Percent of pairs at which the log axis ends."""


@theme.styled
def draw(geometry: xr.Dataset, analysis: Analysis) -> Figure:
    """Histograms of the cosine of two decoder rows, with the mean and the variance over all pairs in words.

    Source: document S2, comments.
    """
    if reason := geometry.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    if int(geometry["frequent_decoder_rows"]) < 2:
        raise NotApplicable(
            f"fewer than two features are active on {theme.scientific(analysis.ultra_low_frequency)} of the tokens or "
            "more, so there is no pair; another recipe or more training may bring some about"
        )
    figure = theme.sheet(4.9)
    axes = figure.subplots()
    edges = geometry["cosine_edge"].to_numpy()
    together = _bins_together(float(geometry["isotropic_cosine_variance"]), edges)
    edges = edges[::together]
    entries, lowest, highest = [], 1.0, -1.0
    for kind, (colour, line, words) in KINDS.items():
        counts = geometry["decoder_cosine_pairs"].sel(kind=kind).to_numpy().reshape(-1, together).sum(1)
        mean, variance = (float(geometry[f"{kind}_decoder_cosine_{name}"]) for name in ("mean", "variance"))
        rows = int(geometry[f"{kind}_decoder_rows"])
        label = f"{words}, {rows:,} rows: mean {theme.scientific(mean)}, variance {theme.scientific(variance)}"
        if counts.sum():
            shares = 100 * counts / counts.sum()
            axes.stairs(np.maximum(shares, LEAST), edges, color=theme.COLOURS[colour], linestyle=line, linewidth=1.4)
            used = np.flatnonzero(counts)
            lowest, highest = min(lowest, edges[used[0]]), max(highest, edges[used[-1] + 1])
        else:
            label = f"{words}: {theme.several(rows, 'row')}, no pair"
        entries.append(Line2D([], [], color=theme.COLOURS[colour], linestyle=line, linewidth=1.4, label=label))
    axes.set(yscale="log", xlim=(lowest - 0.02, highest + 0.02))
    axes.set_ylim(bottom=LEAST)
    axes.set_xlabel("cosine of two decoder rows")
    axes.set_ylabel(f"% of pairs per bin of {theme.scientific(edges[1] - edges[0])} (log scale)")
    theme.frame(
        figure,
        geometry,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=entries,
        columns=1,
        notes=[
            "Mean and variance are over all pairs of different rows; the histograms over those of at most 1,024 rows. "
            f"Frequent: active on at least {theme.scientific(analysis.ultra_low_frequency)} of the tokens. In so many "
            "dimensions, 1/neurons = "
            f"{theme.scientific(float(geometry['isotropic_cosine_variance']))} is the variance of random directions. "
            "Document: mean 0.0026, variance 0.002."
        ],
    )
    return figure


def _bins_together(variance: float, edges: np.ndarray) -> int:
    """How many bins of the table make one of the figure: as many as a fifth of the standard deviation holds."""
    most = 0.2 * variance**0.5 / (edges[1] - edges[0])
    return max(together for together in (1, 2, 4, 8, 16, 20) if together <= max(1.0, most))
