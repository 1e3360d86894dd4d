"""S1.F2: how well the best feature and the best neuron know each tag."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.families import MARKERS
from polysem.figures.parts.tags import require_tags
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.F2"
READS = ("tags",)
PARAMS = ()
TITLE = "What the best feature of each dictionary knows of each tag"
CAPTION = """\
How well the best feature of each dictionary knows each tag: F1 (harmonic mean of precision and recall) on half of the
sequences, of a feature that was chosen on the other half. Left, each feature is active from a threshold on that was
chosen with it; right, wherever it is above 0, by which neurons lose most, as they are active on many tokens. The
neurons are one more dictionary, and a cross marks what a feature that is always active would reach. Source: document
S1, sections "Detailed investigation of features" and "Feature is not a neuron".
"""
MOST = 70
"""Tags that are drawn, those that somebody knows best."""
LINE = 0.132
"""Inches per tag."""
PANELS = {"f1": "F1, active: above a threshold of its own", "active_f1": "F1, active: above 0"}


@theme.styled
def draw(tags: xr.Dataset, analysis: Analysis) -> Figure:
    """A line per tag, a mark per dictionary at the F1 of its best feature; `tags` holds the tables of all dictionaries
    of a site, along `dictionary`. Source: document S1, sections "Detailed investigation of features" and "Feature is
    not a neuron"."""
    require_tags(tags)
    families = [str(family) for family in tags["family"].values]
    score = np.nan_to_num(tags["f1"].values).max(0)
    there = np.nan_to_num(tags["base_rate"].values[0]) > 0
    order = np.argsort(score, kind="stable")
    order = order[there[order]][-MOST:]
    figure = theme.sheet(2.3 + LINE * max(len(order), 6))
    panels = figure.subplots(1, 2, sharey=True)
    legend: list[Line2D] = []
    for axes, (name, label) in zip(panels, PANELS.items(), strict=True):
        legend = _draw(axes, tags[name].values[:, order], families)
        axes.set_xlabel(label)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.8, len(order) - 0.2))
    always = tags["f1_always_active"].values[0, order]
    panels[1].plot(always, range(len(order)), linestyle="", marker="x", markersize=3.2, color=theme.FAINT, zorder=2)
    legend.append(Line2D([], [], linestyle="", marker="x", markersize=4, color=theme.FAINT, label="always active"))
    base = tags["base_rate"].values[0, order]
    names = [f"{tags['tag'].values[tag]}  {_share(rate)}" for tag, rate in zip(order, base, strict=True)]
    panels[0].set_yticks(range(len(order)), names, size=7, parse_math=False)
    theme.frame(
        figure, tags, title=TITLE, catalogue=CATALOGUE, legend=legend, columns=4, notes=_notes(tags, there, len(order))
    )
    return figure


def _share(rate: float) -> str:
    return f"{100 * rate:.0f} %" if rate >= 0.095 else f"{100 * rate:.2g} %"


def _draw(axes: Axes, scores: np.ndarray, families: Sequence[str]) -> list[Line2D]:
    """Marks of all dictionaries [dictionary, tag], whose `families` are given; the legend's entries, one per recipe."""
    recipes = list(dict.fromkeys(family for family in families if family != NEURONS))
    known: dict[str, Line2D] = {}
    for row, family in zip(scores, families, strict=True):
        number = recipes.index(family) if family != NEURONS else -1
        colour = theme.INK if number < 0 else theme.FAMILIES[number % len(theme.FAMILIES)]
        marker = "|" if number < 0 else MARKERS[number % len(MARKERS)]
        size = 8 if number < 0 else 4.5
        style: dict[str, Any] = {
            "linestyle": "",
            "marker": marker,
            "markersize": size,
            "color": colour,
            "markerfacecolor": "none",
        }
        axes.plot(row, range(len(row)), alpha=0.9, zorder=3, clip_on=False, **style)
        known.setdefault(family, Line2D([], [], label=family, **style))
    axes.grid(True, axis="both")
    axes.tick_params(axis="y", length=0)
    return list(known.values())


def _notes(tags: xr.Dataset, there: np.ndarray, drawn: int) -> list[str]:
    words = [
        "Features, and thresholds on the left, chosen on half A of the sequences, scored on half B "
        f"({tags.attrs['tokens_held_out']:,} tokens). Beside each tag the share of tokens that carry it. x: a feature "
        "that is always active."
    ]
    names = [str(name) for name in tags["dictionary"].values]
    best, active = tags["tag_mean_best_f1"].values, tags["tag_mean_active_f1"].values
    saes = [row for row, name in enumerate(names) if name != NEURONS and np.isfinite(best[row])]
    shown = [row for row, name in enumerate(names) if name == NEURONS] + sorted(saes, key=lambda row: -best[row])[:1]
    means = [f"{names[row]} {best[row]:.2f} and {active[row]:.2f}" for row in shown]
    if means:
        words.append(f"Mean over the tags, left and right: {'; '.join(means)}" + (" (the best SAE)." if saes else "."))
    if left := int(there.sum()) - drawn:
        words.append(f"Left out: {theme.several(left, 'tag')} that no dictionary knows better.")
    absent = [str(tag) for tag in tags["tag"].values[~there]]
    return [" ".join(words), *([f"On no token of half B: {', '.join(absent)}."] if absent else [])]
