"""S1.F9: how often features follow each other, against what weights predict."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from polysem.figures.parts import theme
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F9"
READS = ("automata",)
PARAMS = ()
TITLE = "Measured lift against the weights' prediction"
CAPTION = """\
Across, what weights predict of two features: how many times as active as usual the second is on the ten tokens whose
logits the first one raises most. Up, what is measured: how many times as often as by chance the second is active on the
token behind one on which the first is. Grey: all pairs of features that chance would bring together five times or more.
Points: the edges of the strongest loops and chains, filled where ablation confirms them. Above each panel the rank
correlation over the grey pairs and, in brackets, that with predictions of other features. Source: document S1, "Finite
state automata".
"""
COLUMNS, MOST = 3, 12
"""Panels side by side, and panels at all."""
TALL = 1.95
LONGEST = 30
SHADES = LinearSegmentedColormap.from_list("pairs", ["#ECECEC", "#6E6E6E"])


@theme.styled
def draw(automata: xr.Dataset, analysis: Analysis) -> Figure:
    """A panel for each dictionary."""
    if reason := automata.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    compared = automata["place_compared"].to_numpy()
    every = np.flatnonzero(compared).tolist()
    if not every:
        reasons = sorted({str(one) for one in automata["place_unpredicted"].to_numpy() if one})
        raise NotApplicable("; ".join(reasons) or "no two features meet often enough by chance; raise automata_tokens")
    places = every[:MOST]
    rows = -(-len(places) // COLUMNS)
    figure = theme.sheet(1.75 + TALL * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    for number, (axes, place) in enumerate(zip(panels.flat, places, strict=False)):
        _panel(axes, automata, place)
        if number % COLUMNS == 0:
            axes.set_ylabel("measured lift", size=8)
        if number + COLUMNS >= len(places):
            axes.set_xlabel("predicted by weights", size=8)
    for axes in panels.flat[len(places) :]:
        axes.axis("off")
    theme.frame(
        figure, automata, title=TITLE, catalogue=CATALOGUE, legend=_legend(), columns=2, notes=_notes(automata, every)
    )
    return figure


def _panel(axes: Axes, table: xr.Dataset, place: int) -> None:
    edges = np.exp2(table["bin_edge"].to_numpy())
    counts = table["pairs_at"].to_numpy()[place].T.astype(float)
    counts[counts == 0] = np.nan
    axes.pcolormesh(edges, edges, counts, cmap=SHADES, norm=LogNorm(1, max(2.0, np.nanmax(counts))), rasterized=True)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=theme.FAINT, linewidth=0.6, zorder=2)
    here = table["edge_place"].to_numpy() == place
    x, y = (np.clip(table[name].to_numpy()[here], edges[0], edges[-1]) for name in ("prediction", "lift"))
    confirmed = table["edge_confirmed"].to_numpy()[here] == 1
    for chosen, face in ((~confirmed, "white"), (confirmed, theme.COLOURS["real"])):
        (points,) = axes.plot(x[chosen], y[chosen], **_point(face), clip_on=False)
        points.set_in_layout(False)
    axes.set(xscale="log", yscale="log", xlim=edges[[0, -1]], ylim=edges[[0, -1]])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([1 / 64, 1 / 8, 1, 8, 64]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:.0f}"))
        axis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=7)
    site, name = (visible(str(table[key].to_numpy()[place])) for key in ("place_site", "place_dictionary"))
    own, other = (float(table[f"lift_prediction_correlation{end}"].to_numpy()[place]) for end in ("", "_exchanged"))
    lines = [one if len(one) <= LONGEST else f"{one[: LONGEST - 1]}…" for one in (site, name)]
    said = "\n".join([*lines, f"rank correlation {_shown(own)} ({_shown(other)})"])
    axes.set_title(said, loc="left", size=7, parse_math=False, linespacing=1.3)


def _point(face: str) -> dict[str, Any]:
    colour = theme.COLOURS["real"]
    return {"linestyle": "", "marker": "o", "markersize": 4, "color": face, "markeredgecolor": colour, "zorder": 4}


def _shown(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−") if np.isfinite(value) else "–"


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], label="edge that ablation confirms", **_point(theme.COLOURS["real"])),
        Line2D([], [], label="edge that it does not", **_point("white")),
    ]


def _notes(table: xr.Dataset, every: list[int]) -> list[str]:
    tried, confirmed = (int(table[f"{name}_edges"].to_numpy().sum()) for name in ("tried", "confirmed"))
    notes = [
        f"Ablation confirms {theme.counted(confirmed, tried)} of {theme.several(tried, 'edge')}; chance would confirm "
        f"one in {table.attrs['directions'] + 1}. Numbers beyond the axes are drawn at their ends."
    ]
    missing = [
        f"{name} at {site}"
        for name, site, compared in zip(
            *(table[f"place_{key}"].to_numpy().tolist() for key in ("dictionary", "site", "compared")), strict=True
        )
        if not compared
    ]
    if missing:
        notes.append(f"Without predictions, or too rarely active: {visible(', '.join(missing))}.")
    if len(every) > MOST:
        notes.append(f"Not drawn: {len(every) - MOST} more.")
    return notes
