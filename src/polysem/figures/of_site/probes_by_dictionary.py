"""S1.X2: probes on few features of each dictionary of a site, on few neurons, and on all activations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from polysem.figures.parts import theme
from polysem.figures.parts.families import MARKERS
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.X2"
READS = ("sparse_probing",)
PARAMS = ()
TITLE = "Probes on few features of each dictionary"
CAPTION = """\
How well few features tell tags: mean F1 over the tags of probes on one, two, four and eight features of each
dictionary, and on as many neurons, on held-out sequences; dashed, the probe on all activations of the site; dotted, the
same dictionary of a random-model control. Tags that all activations of the control tell as well are left out. Intervals
are 95 % bootstrap ones over tags. Right: for how many tags fewer than eight features do as well as eight neurons, and
for how many fewer features than neurons come within 0.02 of the probe on all activations. The same question as in
document S1, one tag at a time, by the method of Gurnee et al. 2023, *Finding Neurons in a Haystack*, and Karvonen et
al. 2025, *SAEBench*.
"""
MOST = 24
"""Dictionaries that are drawn, the neurons and the first SAEs."""
ROW, LEAST_HEIGHT = 0.24, 3.0
LONGEST = 24
"""Characters of a name."""
SHARES = {
    "fewer_than_most_neurons_share": ("real", "o", "fewer than 8 match 8 neurons"),
    "fewer_than_neurons_share": ("random", "s", "fewer than neurons match all"),
}


@theme.styled
def draw(sparse_probing: xr.Dataset, analysis: Analysis) -> Figure:
    """Lines over the number of features, one per dictionary, and shares of tags beside."""
    table = sparse_probing
    if reason := table.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    if not table["probed_tags"].to_numpy().any():
        raise NotApplicable(
            f"no tag is on {table.attrs['least']} tokens of each half; more eval_tokens could change it"
        )
    names = [str(name) for name in table["dictionary"].to_numpy()]
    families = [str(family) for family in table["family"].to_numpy()]
    shown = table.isel(dictionary=slice(MOST))
    saes = [row for row, name in enumerate(names[:MOST]) if name != NEURONS]
    figure = theme.sheet(max(LEAST_HEIGHT, ROW * len(saes)) + 2.1)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    legend = _draw_means(left, shown, families)
    _draw_shares(right, shown.isel(dictionary=saes), [names[row] for row in saes])
    theme.frame(
        figure,
        table,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[*legend, *(_dot(*style) for style in SHARES.values() if saes)],
        columns=3,
        notes=_notes(table, len(names)),
    )
    return figure


def _dot(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, markersize=5, color=theme.COLOURS[colour], label=label)


def _draw_means(axes: Axes, table: xr.Dataset, families: Sequence[str]) -> list[Line2D]:
    """The left panel; the legend's entries, one per recipe."""
    recipes = list(dict.fromkeys(family for family in families if family != NEURONS))
    counts = table["k"].to_numpy()
    known: dict[str, Line2D] = {}
    f1, low, high = (table[name].to_numpy() for name in ("mean_f1", "mean_f1_low", "mean_f1_high"))
    for row, family in enumerate(families[: len(f1)]):
        number = recipes.index(family) if family != NEURONS else -1
        style: dict[str, Any] = {
            "color": theme.INK if number < 0 else theme.FAMILIES[number % len(theme.FAMILIES)],
            "marker": "D" if number < 0 else MARKERS[number % len(MARKERS)],
            "markersize": 4.2,
            "linewidth": 1.2,
        }
        moved = counts * 2 ** (0.018 * (row - len(f1) / 2))
        axes.plot(moved, f1[row], zorder=3, **style)
        axes.vlines(moved, low[row], high[row], color=style["color"], linewidth=0.8, alpha=0.6, zorder=2)
        if "control_mean_f1" in table and np.isfinite(control := table["control_mean_f1"].to_numpy()[row]).all():
            axes.plot(moved, control, color=style["color"], linewidth=1.0, linestyle=(0, (1, 2)), zorder=2)
        known.setdefault(family, Line2D([], [], label=family, **style))
    dense = float(table["dense_probe_f1"].to_numpy()[0])
    style = {"color": theme.INK, "linewidth": 1.0, "linestyle": (0, (4, 3))}
    axes.axhline(dense, zorder=1, **style)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts.tolist(), [str(count) for count in counts.tolist()])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="features of the probe", ylabel="mean F1 over tags (held out)", ylim=(0, 1.02))
    found = [*known.values(), Line2D([], [], label="all activations", **style)]
    if "control_mean_f1" in table:
        found.append(Line2D([], [], label="random model", color=theme.INK, linewidth=1.0, linestyle=(0, (1, 2))))
    return found


def _draw_shares(axes: Axes, table: xr.Dataset, names: Sequence[str]) -> None:
    """The right panel: shares of tags, a line for each SAE."""
    if not names:
        theme.message(axes, "no SAE stands here")
        axes.set_axis_off()
        return
    for moved, (variable, (colour, marker, _)) in zip((-0.14, 0.14), SHARES.items(), strict=True):
        share, low, high = (table[f"{variable}{end}"].to_numpy() for end in ("", "_low", "_high"))
        place = np.arange(len(names)) + moved
        axes.plot(share, place, linestyle="", marker=marker, markersize=4.5, color=theme.COLOURS[colour], zorder=3)
        axes.hlines(place, low, high, color=theme.COLOURS[colour], linewidth=1.1, zorder=2)
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    axes.set_yticks(range(len(names)), short, size=7.5, parse_math=False)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(-0.02, 1.02), xlabel="share of tags")
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)


def _notes(table: xr.Dataset, dictionaries: int) -> list[str]:
    out = int(table["left_out_tags"].to_numpy()[0])
    tags = int(table["probed_tags"].to_numpy()[0]) - out
    notes = [
        f"Over {theme.several(tags, 'tag')} with at least {table.attrs['least']} tokens in each half; features chosen, "
        "probes fitted and thresholds set on half A of the sequences, scored on half B. Lines: 95 % intervals."
    ]
    if out:
        notes.append(
            f"Left out: {theme.several(out, 'tag')} that all activations of the random-model control tell as well "
            "(their intervals of F1 overlap)."
        )
    if more := max(0, dictionaries - MOST):
        notes.append(f"Not drawn: {more:,} more {'dictionary' if more == 1 else 'dictionaries'}.")
    return notes
