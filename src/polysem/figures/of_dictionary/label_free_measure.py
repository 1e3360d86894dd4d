"""S3.X1: does the measure that needs no labels agree with what is known of the features?"""

from dataclasses import dataclass
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
from polysem.params.base import NEURONS

CATALOGUE = "S3.X1"
READS = ("clusters", "frequency", "alignment", "tags")
PARAMS = ()
TITLE = "A measure without labels against what is known"
CAPTION = """\
Does the measure of polysemanticity that needs no labels agree with what is known? The mean distance of a feature's
examples (neuron embeddings) against its monosemanticity score by known tags, its frequency, and its power in one
neuron; the titles give Spearman's ρ and what shuffled features stay below, also for the part of the distance that
exceeds random examples. Right below: how well clusters agree with the tags of their key tokens, with embeddings of the
key token and of several tokens weighted by activation. The last note says in words what comes of it. Source: document
S3, section 5.
"""
LEAST = 3
"""Features from which on a rank correlation says anything."""
BINS = 40
EMBEDDINGS: dict[str, tuple[str, Any, str]] = {
    "input": ("input_embedding", "-", "what enters"),
    "neuron": ("neuron_embedding", "-", "neuron embedding"),
    "weighted": ("aligned", "--", "several tokens"),
}
"""Colour, line and name of each embedding in the fourth panel."""


@dataclass(frozen=True)
class Quantity:
    """What the mean distance is held against: a value per feature, or why there is none."""

    name: str
    words: str
    values: NDArray[np.float64]
    missing: str = ""
    logarithmic: bool = False


@theme.styled
def draw(
    clusters: xr.Dataset, frequency: xr.Dataset, alignment: xr.Dataset, tags: xr.Dataset, analysis: Analysis
) -> Figure:
    """Mean distance of a feature's examples over its monosemanticity score, frequency and power in one neuron; and how
    well the clusters of three embeddings agree with the tags.

    Source: document S3, section 5 (future work: the measure on SAEs of language models; several tokens).
    """
    require_clusters(clusters)
    clustered = clusters["state"].to_numpy().astype(str) == "clustered"
    if int(clustered.sum()) < LEAST:
        raise NotApplicable(f"fewer than {LEAST} {noun(clusters)}s can be clustered: {states_in_words(clusters)}")
    figure = theme.sheet(7.4)
    panels = figure.subplots(2, 2).ravel()
    distance = clusters["mean_distance"].sel(embedding="neuron").to_numpy().astype(np.float64)
    for axes, quantity in zip(panels, quantities(frequency, alignment, tags), strict=False):
        _draw(axes, clusters, quantity, distance, clustered)
    _draw_agreement(panels[3], clusters, clustered)
    for axes in panels[::2]:
        axes.set_ylabel("mean distance of its examples" if axes is panels[0] else "mean distance")
    theme.frame(
        figure,
        clusters,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[theme.dot("bulk", f"{noun(clusters)}s")]
        + [
            Line2D([], [], color=theme.COLOURS[colour], linestyle=style, label=words)
            for colour, style, words in (EMBEDDINGS[name] for name in _compared(clusters))
        ],
        columns=4,
        notes=[*_notes(clusters, clustered), *theme.whose_neurons(alignment)],
    )
    return figure


def quantities(frequency: xr.Dataset, alignment: xr.Dataset, tags: xr.Dataset) -> list[Quantity]:
    """In the order of the panels."""
    none = np.full(frequency.sizes["feature"], np.nan)
    words = "monosemanticity above base"
    if "monosemanticity_above_base" in tags:
        score = Quantity("monosemanticity", words, tags["monosemanticity_above_base"].to_numpy())
    else:
        score = Quantity("monosemanticity", words, none, "the tokens\nhave no tags")
    if alignment.attrs["dictionary"] == NEURONS:
        power = Quantity("power_top1", "power in the top neuron", none, "a neuron has\nall its power in itself")
    else:
        power = Quantity("power_top1", "power in the top neuron", alignment["power_top1"].to_numpy())
    active = frequency["frequency"].to_numpy()
    return [score, Quantity("frequency", "frequency (log scale)", active, logarithmic=True), power]


def _draw(
    axes: Axes, clusters: xr.Dataset, quantity: Quantity, distance: NDArray[np.float64], clustered: NDArray[np.bool_]
) -> None:
    axes.set_xlabel(quantity.words)
    known = clustered & np.isfinite(quantity.values) & np.isfinite(distance)
    if quantity.logarithmic:
        known &= quantity.values > 0
    reason = quantity.missing or ("" if int(known.sum()) >= LEAST else f"fewer than {LEAST}\nfeatures have both")
    if reason:
        axes.set(xticks=[], yticks=[])
        theme.message(axes, reason)
        return
    theme.scatter(axes, quantity.values[known], distance[known], ["bulk"] * int(known.sum()))
    axes.set(ylim=(0, 1.05 * float(distance[known].max()) or 1.0))
    axes.grid(True, axis="both")
    if quantity.logarithmic:
        axes.set(xscale="log")
        theme.plain_log_ticks(axes.xaxis)
    axes.set_title(
        f"ρ = {_rho(clusters, quantity.name)}, {int(known.sum()):,} {noun(clusters)}s\n"
        f"above random: ρ = {_rho(clusters, f'{quantity.name}_residual')}",
        size=9,
        loc="left",
    )


def _rho(clusters: xr.Dataset, name: str) -> str:
    """The correlation, with what 95 % of shuffles stay below."""
    if f"agreement_{name}" not in clusters:
        return "not measured"
    value, shuffled = float(clusters[f"agreement_{name}"]), float(clusters[f"agreement_{name}_shuffled"])
    return f"{value:+.2f}".replace("-", "−") + f" (shuffled ±{shuffled:.2f})" if np.isfinite(value) else "undefined"


def _draw_agreement(axes: Axes, clusters: xr.Dataset, clustered: NDArray[np.bool_]) -> None:
    """Distribution over features of the adjusted mutual information of clusters and tags, by embedding."""
    axes.set_xlabel("clusters and tags: adjusted mutual inf.")
    found = _agreement(clusters, clustered)
    if not any(values.size for values in found.values()):
        axes.set(xticks=[], yticks=[])
        theme.message(axes, "the tokens\nhave no tags" if not found else "no feature has\ntwo clusters and two tags")
        return
    every = np.concatenate(list(found.values()))
    edges = np.linspace(min(0.0, float(every.min())), max(1.0, float(every.max())), BINS + 1)
    for name, values in found.items():
        colour, style, _ = EMBEDDINGS[name]
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts, edges, color=theme.COLOURS[colour], linestyle=style, linewidth=1.5, zorder=3)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None), ylabel=f"{noun(clusters)}s")
    theme.number_in_thousands(axes.yaxis)
    medians = clusters["median_adjusted_mutual_information"].sel(embedding=list(found)).to_numpy()
    words = [
        f"{EMBEDDINGS[name][2]} {median:.2f}" if np.isfinite(median) else f"{EMBEDDINGS[name][2]} –"
        for name, median in zip(found, medians, strict=True)
    ]
    axes.set_title("medians: " + "\n".join(words), size=9, loc="left")


def _agreement(clusters: xr.Dataset, clustered: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    name = "adjusted_mutual_information"
    if name not in clusters:
        return {}
    kinds = _compared(clusters)
    each = {kind: clusters[name].sel(embedding=kind).to_numpy()[clustered].astype(np.float64) for kind in kinds}
    return {kind: values[np.isfinite(values)] for kind, values in each.items()}


def _compared(clusters: xr.Dataset) -> list[str]:
    """Embeddings of the fourth panel; several tokens are those of text."""
    return [name for name in EMBEDDINGS if name != "weighted" or reads_tokens(clusters)]


def _notes(clusters: xr.Dataset, clustered: NDArray[np.bool_]) -> list[str]:
    return [
        f"ρ: Spearman correlation over the {noun(clusters)}s that are clustered, "
        f"{theme.counted(int(clustered.sum()), clustered.size)}; in brackets what 95 % of 200 shuffles stay below. "
        "Above random: the same of the distance less that of as many random examples, since distances move with the "
        "number of examples.",
        _verdict(clusters),
    ]


def _verdict(clusters: xr.Dataset) -> str:
    """Whether the measure agrees with the known tags, in words."""
    if "agreement_monosemanticity" not in clusters:
        return "Without tags there is no ground truth to agree with."
    value, shuffled = (float(clusters[f"agreement_monosemanticity{part}"]) for part in ("", "_shuffled"))
    if not np.isfinite(value):
        return "The score is known of too few features to tell whether the measure agrees with it."
    if abs(value) <= shuffled:
        return "The measure does not agree with the ground truth: the correlation is what shuffled scores give, too."
    if value < 0:
        return "The measure agrees with the ground truth: the closer the examples, the higher the score."
    return "The measure contradicts the ground truth: the closer the examples, the lower the score."
