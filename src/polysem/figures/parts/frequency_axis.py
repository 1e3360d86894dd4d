"""Histograms of feature frequency on a log axis, with the features that were never active set apart."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import theme

MANY, FINE, COARSE = 500, 10, 5
"""Bins per decade, fine ones for so many active features; the fine ones divide the coarse ones."""
CUT_SLACK = 1.6
"""A never-active bar taller than this times the highest bin is cut, lest it flatten the histogram."""


def draw_frequencies(figure: Figure, frequency: xr.Dataset, threshold: float, below: str, above: str) -> None:
    """Stack the features below and from `threshold` (a share of tokens) on in two colours of the theme.

    The axis runs from the smallest frequency that the number of tokens can show to 1, so that all dictionaries
    of a model share it. A bar at the left holds the never-active features, its count under it; if it is far
    taller than the histogram it is cut, which a mark and its label say.
    """
    apart, axes = figure.subplots(1, 2, width_ratios=[1, 13], sharey=True)
    values = frequency["frequency"].to_numpy()
    active, never = values[values > 0], int((values == 0).sum())
    bins_per_decade = FINE if active.size >= MANY else COARSE
    shown = max(2, frequency.attrs["tokens"])  # a single token leaves the axis no width
    lowest = int(np.floor(np.log10(1 / shown) * COARSE)) * bins_per_decade // COARSE
    edges = np.arange(lowest, 1) / bins_per_decade
    low, _ = np.histogram(np.log10(active[active < threshold]), edges)
    high, _ = np.histogram(np.log10(active[active >= threshold]), edges)
    axes.stairs(low, 10**edges, fill=True, color=theme.COLOURS[below])
    axes.stairs(low + high, 10**edges, baseline=low, fill=True, color=theme.COLOURS[above])
    axes.axvline(threshold, color=theme.INK, linewidth=0.9, linestyle=(0, (4, 3)))
    highest = int((low + high).max())
    if not active.size:
        theme.message(axes, f"no feature is active on any of {frequency.attrs['tokens']:,} tokens")
    axes.set(xscale="log", xlim=(10.0 ** edges[0], 1.0))
    axes.set_xlabel("frequency: share of eval tokens on which the feature is active (log scale)")
    axes.tick_params(left=False, labelleft=False)
    axes.spines["left"].set_visible(False)
    _draw_never(apart, never, values.size, highest)
    apart.set_ylabel(f"features per 1/{bins_per_decade} decade")


def _draw_never(axes: Axes, never: int, features: int, highest: int) -> None:
    limit = 1.08 * max(highest, min(never, CUT_SLACK * highest) if highest else never, 1)
    cut = never > limit
    axes.bar([0], [min(never, limit)], width=0.8, color=theme.COLOURS["never"])
    label = f"never\nactive\n{never:,}\n({theme.percent(never, features)})"
    axes.set(xlim=(-0.7, 0.7), ylim=(0, limit), xticks=[0], xticklabels=[label + ("\nbar cut" if cut else "")])
    axes.tick_params(axis="x", length=0)
    theme.number_in_thousands(axes.yaxis)
    if cut:
        axes.plot([-0.55, 0.55], [0.90 * limit, 0.94 * limit], color="white", linewidth=3.5)
