"""S4.X2: from which layers the strongest features of a text come, on four scales, and whether these match."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.layer_lines import Line, lines_of
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S4.X2"
READS = ("match_layers",)
PARAMS = ()
TITLE = "Comparing layers on four scales"
CAPTION = """\
The document asks why the strongest features of a text are nearly all of the first layer, and whether anything makes
layers comparable. Left: how many of the 25 strongest features over all layers are of each layer, when activations are
ranked as they are (raw), as a share of the feature's largest eval activation, by their quantile among the tokens on
which the feature is active, and by their surprise, −log₂ of the share of all tokens on which it is at least as active.
Right: how many of these 25 match, exactly (filled) and by stem (hollow). Means over texts with 95 % bootstrap
intervals; dashed: as many of each layer. Source: document S4, "Questions".
"""
PANEL = 1.85
"""Inches of a row."""
MOST = 6
"""Lines that are drawn."""
DODGE = 0.36
COLOURS = {"raw": "#4D4D4D", "share": "#0072B2", "quantile": "#D55E00", "surprise": "#117733"}
MARKERS = {"raw": "s", "share": "o", "quantile": "^", "surprise": "D"}
WORDS = {"raw": "raw", "share": "share of the largest", "quantile": "quantile where active", "surprise": "surprise"}


@theme.styled
def draw(match_layers: xr.Dataset, analysis: Analysis) -> Figure:
    """A row for each line through several layers: where the strongest features come from, and how many match.

    Source: document S4, "Questions".
    """
    if reason := match_layers.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    lines = [line for lines in lines_of(match_layers).values() for line in lines if len(line.layers) > 1]
    if not lines:
        raise NotApplicable("no dictionaries stand at the same hook of several layers; name another layer under sites")
    shown = lines[:MOST]
    figure = theme.sheet(1.95 + PANEL * len(shown))
    rows = figure.subplots(len(shown), 2, squeeze=False, width_ratios=(3, 1))
    for (left, right), line in zip(rows, shown, strict=True):
        _origins(left, match_layers, line)
        _matches(right, match_layers, line)
    rows[-1][0].set_xlabel("layer")
    notes = [_note(match_layers)]
    if len(lines) > MOST:
        notes.append(f"Drawn: {MOST} of {len(lines)} lines.")
    legend = [Line2D([], [], color=COLOURS[s], marker=MARKERS[s], markersize=5, label=WORDS[s]) for s in COLOURS]
    theme.frame(figure, match_layers, title=TITLE, catalogue=CATALOGUE, legend=legend, columns=4, notes=notes)
    return figure


def _origins(axes: Axes, match_layers: xr.Dataset, line: Line) -> None:
    top, layers = match_layers.attrs["top"], np.array(line.layers)
    axes.axhline(top / len(layers), color=theme.FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for number, scale in enumerate(COLOURS):
        mean, low, high = (
            _of_first_origin(match_layers, f"mean_of_all_layers{end}").sel(scale=scale).to_numpy()[list(line.places)]
            for end in ("", "_low", "_high")
        )
        x = layers + DODGE * ((number + 0.5) / len(COLOURS) - 0.5)
        axes.vlines(x, low, high, color=COLOURS[scale], linewidth=1.2, zorder=3)
        axes.plot(x, mean, color=COLOURS[scale], marker=MARKERS[scale], markersize=4.5, linewidth=1.2, zorder=4)
    axes.set_xlim(layers.min() - 0.5, layers.max() + 0.5)
    axes.set_xticks(layers)
    axes.set_ylim(0, top * 1.02)
    axes.set_yticks(range(0, top + 1, 5))
    axes.set_ylabel(f"of the top {top}")
    axes.set_title(f"{line.name} at {line.hook}", loc="left", size=9.5, parse_math=False)


def _matches(axes: Axes, match_layers: xr.Dataset, line: Line) -> None:
    for number, scale in enumerate(COLOURS):
        for match, face in (("exact", COLOURS[scale]), ("stem", "white")):
            mean, low, high = (
                float(
                    _of_first_origin(match_layers, f"line_matches{end}").sel(layers="all", scale=scale, match=match)[
                        line.number
                    ]
                )
                for end in ("", "_low", "_high")
            )
            x = number + (0.15 if match == "stem" else -0.15)
            axes.vlines(x, low, high, color=COLOURS[scale], linewidth=1.2, zorder=3)
            axes.plot(
                x, mean, color=COLOURS[scale], marker=MARKERS[scale], markersize=5, markerfacecolor=face, zorder=4
            )
    axes.set_xlim(-0.6, len(COLOURS) - 0.4)
    axes.set_xticks([])
    axes.set_ylim(0, match_layers.attrs["top"] * 1.02)
    axes.set_yticks(range(0, match_layers.attrs["top"] + 1, 5))
    axes.set_title("that match", loc="left", size=9.5)


def _of_first_origin(match_layers: xr.Dataset, name: str) -> xr.DataArray:
    """One's own texts come last and are not drawn."""
    return match_layers[name].isel(origin=0)


def _note(match_layers: xr.Dataset) -> str:
    first = str(match_layers["origin"].to_numpy()[0])
    texts = match_layers["text_origin"].to_numpy().astype(str).tolist().count(first)
    return (
        f"{texts:,} texts, the beginnings of {first} documents. Ranks are over the layers that are drawn, of one "
        "recipe, or of the neurons, alone. On the last two scales the largest activations of all features are equal; "
        "the larger as they are comes first."
    )
