"""S4.T1, S4.F1: matches of the strongest features by layer, features beside neurons, as a chart over its table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.layer_lines import Line, lines_of
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S4.T1 S4.F1"
READS = ("match_layers",)
PARAMS = ("match_tokens",)
TITLE = "Matches by layer"
CAPTION = """\
Of the 25 features of a layer that are most active on some token of a text: how many are, over the eval tokens, most
active on that same token anyway. Exactly (filled; the same token, but for white space in front and upper or lower
case) and by the stem of English words (hollow): means over many texts, with 95 % bootstrap intervals over these. A
feature's examples in the text itself do not count. Each line is one recipe, or the neurons, through the layers; the
numbers of both stand below it, exact over stem. Activations are ranked as they are. Source: document S4, "Test 2:
Extract Concepts From Text", which counted one text by eye.
"""
PANEL, ROW, MARGIN = 1.9, 0.30, 0.40
"""Inches: a chart; the two numbers of a line in the table below it; what stands between."""
DODGE = 0.3
"""Share of the distance of two layers over which the points of all lines are spread."""
MOST = 10
"""Lines of a hook that are drawn, the neurons first."""
STYLES: Mapping[str, Mapping[str, Any]] = {
    "exact": {"linestyle": "-", "markersize": 3.5, "zorder": 5},
    "stem": {"linestyle": (0, (3, 2)), "markersize": 6.5, "markerfacecolor": "white", "zorder": 4},
}
"""Filled points lie in hollow ones where both are equal."""
WORDS = {"exact": "exact", "stem": "by stem"}
CROSS: Any = {"marker": "x", "linestyle": "", "markersize": 5}
"""Mark of the means over one's own texts."""


@theme.styled
def draw(match_layers: xr.Dataset, analysis: Analysis) -> Figure:
    """A chart for each hook, with a point for each layer and line, and its numbers below.

    Source: document S4, "From Hero... to Zero?".
    """
    if reason := match_layers.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    every = lines_of(match_layers)
    shown = {hook: lines[:MOST] for hook, lines in every.items()}
    heights = [part for lines in shown.values() for part in (PANEL, MARGIN + ROW * len(lines))]
    figure = theme.sheet(2.1 + sum(heights))
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for (hook, lines), above, below in zip(shown.items(), panels[::2], panels[1::2], strict=True):
        layers = sorted({layer for line in lines for layer in line.layers})
        _chart(above, match_layers, lines)
        above.set_title(hook, loc="left", size=9.5, parse_math=False)
        _numbers(below, match_layers, lines, layers)
        for axes in (above, below):
            axes.set_xlim(layers[0] - 0.5, layers[-1] + 0.5)
            axes.set_xticks(layers)
    theme.frame(
        figure,
        match_layers,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=_legend(match_layers, [line for lines in shown.values() for line in lines]),
        columns=4,
        notes=_notes(match_layers, every, analysis),
    )
    return figure


def _origin(match_layers: xr.Dataset) -> str:
    """Where the texts of the lines are from: one's own are drawn beside them."""
    return str(match_layers["origin"].to_numpy()[0])


def _mean(match_layers: xr.Dataset, line: Line, match: str, origin: str, end: str = "") -> np.ndarray:
    chosen = match_layers[f"mean_matches{end}"].sel(scale="raw", match=match, origin=origin)
    return np.asarray(chosen.to_numpy()[list(line.places)])


def _chart(axes: Axes, match_layers: xr.Dataset, lines: Sequence[Line]) -> None:
    first, *others = map(str, match_layers["origin"].to_numpy())
    for number, line in enumerate(lines):
        x = np.array(line.layers) + DODGE * ((number + 0.5) / len(lines) - 0.5)
        for match, style in STYLES.items():
            mean, low, high = (_mean(match_layers, line, match, first, end) for end in ("", "_low", "_high"))
            axes.vlines(x, low, high, color=line.colour, linewidth=1.2, zorder=3)
            axes.plot(x, mean, color=line.colour, marker=line.marker, linewidth=1.2, **style)
        for origin in others:
            axes.plot(x, _mean(match_layers, line, "exact", origin), color=line.colour, zorder=5, **CROSS)
    axes.set_ylim(0, match_layers.attrs["top"] * 1.02)
    axes.set_yticks(range(0, match_layers.attrs["top"] + 1, 5))
    axes.set_ylabel(f"matches of {match_layers.attrs['top']}")
    axes.tick_params(labelbottom=False)


def _numbers(axes: Axes, match_layers: xr.Dataset, lines: Sequence[Line], layers: Sequence[int]) -> None:
    """The table of the chart: a column for each layer, below its points."""
    size = 8.0 if len(layers) <= 8 else 7.0
    for row, line in enumerate(lines):
        for place, match in enumerate(STYLES):
            y = row + 0.27 + 0.46 * place
            for layer, mean in zip(line.layers, _mean(match_layers, line, match, _origin(match_layers)), strict=True):
                axes.text(
                    layer,
                    y,
                    f"{mean:.1f}",
                    ha="center",
                    va="center",
                    size=size,
                    color=line.colour,
                    alpha=1 - 0.25 * place,
                )
    axes.set_ylim(len(lines), 0)
    axes.set_yticks([row + 0.5 for row in range(len(lines))])
    axes.set_yticklabels([line.name for line in lines], parse_math=False, size=8)
    axes.tick_params(axis="both", length=0)
    axes.xaxis.tick_top()
    axes.grid(visible=False)
    for edge in ("left", "top", "bottom", "right"):
        axes.spines[edge].set_visible(False)
    for row in range(1, len(lines)):
        axes.axhline(row, color="#E6E6E6", linewidth=0.7)
    axes.set_xlabel("layer")


def _legend(match_layers: xr.Dataset, lines: Sequence[Line]) -> list[Line2D]:
    series = {line.series: line for line in lines}
    entries = [
        Line2D([], [], color=line.colour, marker=line.marker, markersize=5, label=line.name.replace("$", r"\$"))
        for line in series.values()
    ]
    entries += [
        Line2D([], [], color=theme.INK, marker="o", label=WORDS[match], **style) for match, style in STYLES.items()
    ]
    if len(match_layers["origin"]) > 1:
        entries.append(Line2D([], [], color=theme.INK, label="one's own texts, exact", **CROSS))
    return entries


def _notes(match_layers: xr.Dataset, every: Mapping[str, Sequence[Line]], analysis: Analysis) -> list[str]:
    origins = match_layers["text_origin"].to_numpy().astype(str).tolist()
    first, *others = map(str, match_layers["origin"].to_numpy())
    words = (
        f"{origins.count(first):,} texts: the beginnings of {first} documents, evenly spread, up to "
        f"{theme.several(analysis.match_tokens, 'token')} each. Bars: 95 % bootstrap intervals over texts."
    )
    if others:
        words += f" Crosses: {theme.several(origins.count(others[0]), 'text')} of one's own."
    more = (match_layers["mean_matches_anywhere"] - match_layers["mean_matches"]).sel(scale="raw", origin=first)
    notes = [
        f"{words} Examples in the text itself, which are left aside, would add up to {float(more.max()):.1f} matches."
    ]
    fewer = [
        f"{line.name} at {hook} ({', '.join(f'{count:.1f}' for count in found)})"
        for hook, lines in every.items()
        for line in lines
        if min(found := match_layers["mean_top_features"].sel(origin=first).to_numpy()[list(line.places)].tolist())
        < match_layers.attrs["top"] - 0.05
    ]
    if fewer:
        notes.append(
            f"Fewer than {match_layers.attrs['top']} features are active on a text, on average: {'; '.join(fewer)}."
        )
    left_out = [f"{len(lines) - MOST} of {hook}" for hook, lines in every.items() if len(lines) > MOST]
    if left_out:
        notes.append(f"Not drawn: {', '.join(left_out)}.")
    return notes
