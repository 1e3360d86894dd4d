"""S1.F6: whether a feature is just a neuron."""

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.F6"
READS = ("geometry", "associations", "frequency", "logits", "neurons/frequency", "labels")
PARAMS = ()
TITLE = "A feature is not a neuron"
CAPTION = """\
One feature beside the neuron whose activation is best correlated with its own: the feature's decoder row in the neuron
basis, the activations of both where they are active, and the logit weights of both token by token. The last panel has
the best correlation with any neuron for all features. Source: document S1, "Feature is not a neuron".
"""
BINS = 50


@theme.styled
def draw(
    geometry: xr.Dataset,
    associations: xr.Dataset,
    frequency: xr.Dataset,
    logits: xr.Dataset,
    neurons_frequency: xr.Dataset,
    analysis: Analysis,
) -> Figure:
    """One feature beside the neuron whose activation follows its own best, and that correlation for all features.

    Source: document S1, "Feature is not a neuron".
    """
    if geometry.attrs["dictionary"] == NEURONS:
        raise NotApplicable("the dictionary is the neurons themselves: every feature is a neuron")
    best = associations["neuron_correlation"].isel(rank=0).to_numpy()
    neurons = associations["correlated_neuron"].isel(rank=0).to_numpy()
    shown = [int(feature) for feature in geometry.get("showcase", []) if neurons[int(feature)] >= 0]
    if not shown:
        raise NotApplicable("no feature that is shown has a neuron that its activation is correlated with")
    feature, neuron = shown[0], int(neurons[shown[0]])
    figure = theme.sheet(6.8)
    (basis, active), (tokens, all_features) = figure.subplots(2, 2)
    if target := geometry.attrs.get("target"):
        theme.message(basis, f"decoder rows stand at\n{target},\nwhere the neuron is none")
        basis.set_axis_off()
    else:
        rank = int(associations["correlated_neuron_weight_rank"][feature])
        _draw_basis(basis, geometry["showcase_decoder"].sel(showcase=feature).to_numpy(), neuron, rank)
    _draw_activations(active, frequency, feature, "real")
    _draw_activations(active, neurons_frequency, neuron, "random")
    active.set_ylim(bottom=0)
    active.set(xlabel="activation where active (log scale)", ylabel="% of active tokens per bin")
    _draw_logits(tokens, logits, feature)
    _draw_correlations(all_features, best, float(best[feature]))
    legend: list[Artist] = [
        theme.swatch("real", name_of(associations, int(feature))),
        theme.swatch("random", f"neuron {neuron:,}: correlation {best[feature]:.2f} with the feature, the highest"),
    ]
    of_best = associations.isel(rank=0)
    correlated, same = (int(of_best[name]) for name in ("correlated_features", "neuron_correlation_above_09"))
    theme.frame(
        figure,
        geometry,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        notes=[
            f"Active: the feature on {_share(frequency, feature)}, the neuron on {_share(neurons_frequency, neuron)} "
            f"of the tokens. Of {theme.several(correlated, 'feature')} with a correlated neuron, the median "
            f"correlation is {float(of_best['neuron_correlation_median']):.2f} and "
            f"{theme.counted(same, correlated)} lie above 0.9 (Pearson, over eval tokens)."
        ],
    )
    return figure


def _draw_basis(axes: Axes, row: np.ndarray, neuron: int, rank: int) -> None:
    axes.vlines(np.arange(row.size), 0, row, color=theme.COLOURS["bulk"], linewidth=0.8, rasterized=True)
    axes.vlines([neuron], 0, [row[neuron]], color=theme.COLOURS["random"], linewidth=1.6)
    axes.plot([neuron], [row[neuron]], "o", color=theme.COLOURS["random"], markersize=4)
    axes.axhline(0, color=theme.FAINT, linewidth=0.8)
    axes.set(xlim=(-1, row.size), xlabel="neuron", ylabel="decoder weight of the feature")
    axes.set_title(f"that neuron has weight no. {rank:,} by size", size=9, loc="left")


def _draw_activations(axes: Axes, table: xr.Dataset, row: int, colour: str) -> None:
    counts = table["activation_histogram"][row].to_numpy().astype(float)
    edges = table["bin_edge"].to_numpy()
    if not counts.any():
        return
    used = np.flatnonzero(counts)
    part = slice(int(used[0]), int(used[-1]) + 1)
    shares = 100 * counts[part] / int(table["active_tokens"][row])
    drawn = edges[part.start : part.stop + 1]
    axes.stairs(shares, drawn, fill=True, color=theme.COLOURS[colour], alpha=0.45)
    axes.stairs(shares, drawn, color=theme.COLOURS[colour], linewidth=1.1)
    axes.set_xscale("log")


def _draw_logits(axes: Axes, logits: xr.Dataset, feature: int) -> None:
    axes.set(xlabel="logit weight of the neuron", ylabel="logit weight of the feature")
    if "neuron_logit_weight" not in logits:
        theme.message(axes, "the site has no direct path\nto the logits")
        return
    one = logits.sel(showcase=feature)
    ours, theirs = one["logit_weight"].to_numpy(), one["neuron_logit_weight"].to_numpy()
    context = one["in_context"].to_numpy().astype(bool) if "in_context" in one else np.zeros(ours.size, bool)
    theme.scatter(axes, theirs, ours, list(np.where(context, "real", "bulk")))
    axes.grid(True, axis="both")
    similarity = float(one["neuron_logit_correlation"])
    words = "none" if np.isnan(similarity) else f"{similarity:.2f}"
    coloured = ", context coloured" if context.any() else ""
    axes.set_title(f"{ours.size:,} tokens, correlation {words}{coloured}", size=9, loc="left")


def _draw_correlations(axes: Axes, best: np.ndarray, shown: float) -> None:
    finite = best[np.isfinite(best)]
    edges = np.linspace(min(0.0, float(finite.min())), 1, BINS + 1)
    counts, _ = np.histogram(finite.clip(max=1), edges)
    axes.stairs(counts, edges, fill=True, color=theme.COLOURS["bulk"])
    axes.axvline(shown, color=theme.COLOURS["real"], linewidth=1.4)
    axes.set(xlim=(edges[0], 1), ylim=(0, 1.08 * counts.max()))
    axes.set_xlabel("correlation with the best neuron")
    axes.set_ylabel(f"features per bin of {theme.scientific(edges[1] - edges[0])}")
    theme.number_in_thousands(axes.yaxis)


def _share(table: xr.Dataset, row: int) -> str:
    return f"{theme.scientific(100 * float(table['frequency'][row]))} %"
