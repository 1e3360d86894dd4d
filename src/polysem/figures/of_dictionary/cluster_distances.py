"""S3.T1: intra- and inter-cluster distances of all features, under both embeddings and against random tokens."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import noun
from polysem.figures.parts.shown_feature import reads_tokens, require_clusters, states_in_words
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.T1"
READS = ("clusters",)
PARAMS = ()
TITLE = "Distances within and between clusters"
CAPTION = """\
Mean cosine distance of two examples in one cluster, and in two clusters, over all features: by what enters the
feature, by neuron embeddings, and by neuron embeddings of as many random tokens with the same weights. Lines mark the
medians; those of document S3 are for all neurons of GPT-2 small and stand in the note for comparison. Only features
whose examples could be clustered count. Source: document S3, section 4.1.3 and table 1.
"""
BINS = 50
PANELS = {"intra_cluster_distance": "within clusters", "inter_cluster_distance": "between clusters"}
LINES: dict[str, tuple[str, Any, str]] = {
    "input": ("input_embedding", "-", "what enters the neuron"),
    "neuron": ("neuron_embedding", "-", "neuron embedding"),
    "random": ("dense", "--", "neuron embedding of random {unit}"),
}
"""Colour, line and name of what is compared."""


@theme.styled
def draw(clusters: xr.Dataset, analysis: Analysis) -> Figure:
    """Distributions over features of the mean distance within and between clusters, with their medians.

    Source: document S3, section 4.1.3 and its table 1.
    """
    require_clusters(clusters)
    clustered = clusters["state"].to_numpy().astype(str) == "clustered"
    if not clustered.any():
        raise NotApplicable(f"no {noun(clusters)} has examples to cluster: {states_in_words(clusters)}")
    figure = theme.sheet(4.7)
    panels = figure.subplots(1, 2)
    medians = {measure: _draw(axes, clusters, measure, clustered) for axes, measure in zip(panels, PANELS, strict=True)}
    panels[0].set_ylabel(f"{noun(clusters)}s")
    unit = "tokens" if reads_tokens(clusters) else "images"
    legend = [
        Line2D([], [], color=theme.COLOURS[colour], linestyle=style, linewidth=1.6, label=words.format(unit=unit))
        for colour, style, words in LINES.values()
    ]
    theme.frame(
        figure,
        clusters,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        columns=3,
        notes=_notes(clusters, clustered, medians, unit),
    )
    return figure


def values_of(clusters: xr.Dataset, measure: str, kind: str, clustered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The known values of the clustered features; `kind` is an embedding, or "random" for the baseline."""
    table = clusters[f"random_{measure}"] if kind == "random" else clusters[measure].sel(embedding=kind)
    values = table.to_numpy().astype(np.float64)[clustered]
    return np.asarray(values[np.isfinite(values)])


def median_of(clusters: xr.Dataset, measure: str, kind: str) -> float:
    """The median of these values; NaN without any."""
    if kind == "random":
        return float(clusters["random_median_distance"].sel(distance=measure))
    return float(clusters[f"median_{measure}"].sel(embedding=kind))


def _draw(axes: Axes, clusters: xr.Dataset, measure: str, clustered: NDArray[np.bool_]) -> dict[str, tuple[float, int]]:
    """Medians and numbers of features by what is compared."""
    found = {kind: values_of(clusters, measure, kind, clustered) for kind in LINES}
    known = np.concatenate(list(found.values()))
    top = max(1.0, 1.02 * float(known.max())) if known.size else 1.0
    edges = np.linspace(min(0.0, float(known.min())) if known.size else 0.0, top, BINS + 1)
    medians: dict[str, tuple[float, int]] = {}
    for kind, values in found.items():
        colour, style, _ = LINES[kind]
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts, edges, color=theme.COLOURS[colour], linestyle=style, linewidth=1.5, zorder=3)
        medians[kind] = (median_of(clusters, measure, kind), int(values.size))
        if values.size:
            axes.axvline(medians[kind][0], color=theme.COLOURS[colour], linestyle=style, linewidth=0.9, alpha=0.9)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None))
    theme.number_in_thousands(axes.yaxis)
    axes.set_xlabel(f"mean cosine distance {PANELS[measure]}")
    said = ", ".join(f"{_number(medians[kind][0])} {word}" for kind, word in SHORT.items())
    axes.set_title(f"medians: {said}", size=8.5, loc="left")
    if not known.size:
        theme.message(axes, "no feature has two clusters")
    return medians


SHORT = {"input": "input", "neuron": "neuron", "random": "random"}


def _notes(
    clusters: xr.Dataset, clustered: NDArray[np.bool_], medians: dict[str, dict[str, tuple[float, int]]], unit: str
) -> list[str]:
    word = noun(clusters)
    numbers = {measure: " / ".join(f"{found[kind][1]:,}" for kind in SHORT) for measure, found in medians.items()}
    within, between = numbers["intra_cluster_distance"], numbers["inter_cluster_distance"]
    cut = theme.scientific(float(clusters.attrs["cluster_cut"]))
    return [
        f"{theme.counted(int(clustered.sum()), clustered.size)} {word}s are clustered ({states_in_words(clusters)}), "
        f"cut at {cut}. Within: {within} of them (input / neuron / random) have a cluster of two; between: {between} "
        f"have two clusters. Random: as many {unit} drawn at random in place of each {word}'s examples, same weights.",
        "Document, GPT-2 small, all neurons: medians within 0.31 (input) and 0.21 (neuron), between 0.63 and 0.73. "
        f"Weights here: {clusters.attrs['weights']}.",
    ]


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"
