"""S2.F10: how frequencies move during training."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.history import require_history
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F10"
READS = ("training",)
PARAMS = ()
TITLE = "Frequencies during training"
CAPTION = """\
Frequencies of the features while they are trained. Above: their histogram at each checkpoint, a column per checkpoint.
Below: the shares of features below 10⁻⁴ and 10⁻⁵ and of those that did not fire, at each log entry, over the training
tokens of the last tenth. Document S2 saw them drift upwards from 1.6 billion tokens on. Source: document S2, "Phase
transition in training for feature sparsity".
"""
SHARES: dict[str, dict[str, Any]] = {
    "share_below_1e-4": {"label": "below 10⁻⁴", "color": theme.COLOURS["random"], "linewidth": 4.0},
    "share_below_1e-5": {"label": "below 10⁻⁵", "color": theme.COLOURS["common"], "linewidth": 2.4},
    "share_dead": {
        "label": "did not fire",
        "color": theme.COLOURS["never"],
        "linewidth": 1.2,
        "linestyle": (0, (3, 2)),
    },
}
"""Lines of the lower panel, thinner and thinner: one on top of another leaves it in sight."""


@theme.styled
def draw(training: xr.Dataset, analysis: Analysis) -> Figure:
    """Above: histogram of log frequency at each checkpoint as shades. Below: shares of features that are rarer.

    Frequencies are of training tokens, over the last tenth of the training before each entry.
    Source: document S2, "Phase transition in training for feature sparsity".
    """
    require_history(training)
    figure = theme.sheet(5.6)
    upper, lower = figure.subplots(2, 1, height_ratios=[1.25, 1])
    tokens = training["step"].to_numpy() * training.attrs["batch_size"]
    at = training["checkpoint_step"].to_numpy() * training.attrs["batch_size"]
    _draw_histograms(upper, figure, training, at)
    for name, style in SHARES.items():
        lower.plot(tokens, 100 * training[name].to_numpy(), zorder=3, **style)
    _mark_replacements(lower, training, tokens)
    for axes in (upper, lower):
        axes.set_xlim(0, tokens[-1])
        theme.number_in_thousands(axes.xaxis)
    highest = 100 * max(float(training[name].max()) for name in SHARES)
    lower.set_ylim(0, max(1.0, 1.08 * highest))
    if not highest:
        theme.message(lower, "no feature is rarer than 10⁻⁴")
    lower.set_ylabel("% of features")
    lower.set_xlabel("training tokens")
    theme.frame(
        figure,
        training,
        title=TITLE,
        catalogue=CATALOGUE,
        columns=3,
        legend=[Line2D([], [], **style) for style in SHARES.values()],
        notes=[_note(training)],
    )
    return figure


def _draw_histograms(axes: Axes, figure: Figure, training: xr.Dataset, at: np.ndarray) -> None:
    histogram = training["frequency_histogram"].to_numpy().astype(np.float64)
    edges = training["bin"].to_numpy()
    used = np.flatnonzero(histogram.any(axis=0))
    first = int(used[0]) if used.size else len(edges) - 1
    counts = histogram[:, first:]
    bounds = np.append(edges[first:], 0.0)
    starts = np.concatenate([[0], at])
    shades = axes.pcolormesh(
        starts,
        bounds,
        np.where(counts > 0, counts, np.nan).T,
        cmap="Blues",
        vmin=-0.1 * counts.max(initial=1),
        vmax=counts.max(initial=1),
        rasterized=True,
        zorder=2,
    )
    for level in (-4, -5):
        if bounds[0] < level:
            axes.axhline(level, color=theme.INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)
    axes.set_ylabel("log₁₀ frequency")
    axes.tick_params(labelbottom=False)
    axes.grid(visible=False)
    bar = figure.colorbar(shades, ax=axes, pad=0.01, aspect=14)
    bar.set_label("features per 1/10 decade", size=8.5)
    bar.ax.set_ylim(0, counts.max(initial=1))
    bar.outline.set_visible(False)


def _mark_replacements(axes: Axes, training: xr.Dataset, tokens: np.ndarray) -> None:
    """A tick on top wherever dead features got new weights."""
    replaced = training["replaced"].to_numpy()
    times = tokens[np.flatnonzero(np.diff(replaced, prepend=0) > 0)]
    if times.size:
        axes.plot(times, np.ones(times.size), "|", color=theme.INK, transform=axes.get_xaxis_transform(), clip_on=False)


def _note(training: xr.Dataset) -> str:
    counted = training["tokens_counted"].to_numpy()
    last = {name: 100 * float(training[name].to_numpy()[-1]) for name in SHARES}
    words = (
        f"Frequencies over the last {int(counted[-1]):,} training tokens before each entry; fewer than "
        f"1/{int(counted[-1]):,} cannot be told from none. At the end {last['share_below_1e-4']:.1f} % are below 10⁻⁴, "
        f"{last['share_dead']:.1f} % did not fire; these are not in the shades."
    )
    replaced = int(training["replaced"].to_numpy()[-1])
    return f"{words} Ticks on top: {replaced:,} dead features got new weights." if replaced else words
