"""S1.F9: loops and chains of features that follow each other, drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from polysem.figures.parts import theme
from polysem.figures.parts.shaded_tokens import width
from polysem.figures.parts.token_words import shown, visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F9"
READS = ("automata",)
PARAMS = ()
TITLE = "Features as finite-state automata"
CAPTION = """\
Features that are active on the token behind another one's, in each dictionary the strongest loops of one and of two
features, and chains. A box is a feature, with its number, its main tag and the tokens that hold most of its activation.
At an arrow stands its lift, how many times as often as by chance the second feature is active behind the first; in
brackets what weights predict, how many times as active as usual the second feature is on the tokens that the first one
boosts. Arrows are bold if ablating the first feature takes away more of the activity of the second that the model
expects on the next token than as much along any of 19 random directions does, which one arrow in twenty would do by
chance. Source: document S1, "Finite state automata".
"""
COLUMNS = 5
"""Features side by side: as many as a chain has at most."""
BOX, TALL, GAP, ROW, HEAD = 0.92, 0.34, 0.54, 0.66, 0.34
"""Inches: a feature, what lies between two of them, a line of them, and the name of a dictionary above its lines."""
PLURAL = {"loop of one": "loops of one", "loop of two": "loops of two", "chain": "chains"}
MOST = 6
"""Dictionaries that are drawn, those whose edges were confirmed most often."""
LARGE, SMALL = 6.8, 6.2


@dataclass(frozen=True)
class Line:
    """Motifs side by side: for each the column where it begins."""

    motifs: Sequence[int]
    columns: Sequence[int]


@theme.styled
def draw(automata: xr.Dataset, analysis: Analysis) -> Figure:
    """A strip for each dictionary, with a line of loops of one, one of loops of two, and one for each chain."""
    if reason := automata.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    every = np.unique(automata["motif_place"].to_numpy())
    if not len(every):
        raise NotApplicable("no feature follows another beyond chance; raise eval_tokens or automata_tokens")
    confirmed = automata["confirmed_edges"].to_numpy()[every]
    places = sorted(every[np.argsort(-confirmed, kind="stable")][:MOST].tolist())
    strips = {place: [*_lines(automata, place)] for place in places}
    height = sum(HEAD + ROW * len(lines) for lines in strips.values())
    figure = theme.sheet(height + 1.75)
    axes = figure.subplots()
    axes.axis("off")
    theme.frame(
        figure,
        automata,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[_stroke(True, "ablation confirms it"), _stroke(False, "it does not")],
        notes=_notes(automata, len(every) - len(places)),
    )
    theme.lay_out(figure)
    wide, tall = theme.inches(axes)
    axes.set(xlim=(0, wide), ylim=(tall, 0))
    top = 0.0
    for place, lines in strips.items():
        site, name = (str(automata[key].to_numpy()[place]) for key in ("place_site", "place_dictionary"))
        _write(axes, 0, top + 0.12, visible(f"{site} / {name}")[:90], theme.FAINT, 8.0, "left")
        top += HEAD
        for line in lines:
            for motif, column in zip(line.motifs, line.columns, strict=True):
                _motif(axes, automata, motif, column * (BOX + GAP), top + ROW / 2)
            top += ROW
    return figure


def _lines(table: xr.Dataset, place: int) -> Iterator[Line]:
    """The lines of a dictionary."""
    kinds = table["kind"].to_numpy().astype(str).tolist()
    here, kind = (table[f"motif_{name}"].to_numpy() for name in ("place", "kind"))
    of = {name: np.flatnonzero((here == place) & (kind == number)).tolist() for number, name in enumerate(kinds)}
    if of["loop of one"]:
        yield Line(of["loop of one"], range(len(of["loop of one"])))
    if of["loop of two"]:
        yield Line(of["loop of two"], range(0, 3 * len(of["loop of two"]), 3))
    for chain in of["chain"]:
        yield Line([chain], [0])


def _motif(axes: Axes, table: xr.Dataset, motif: int, left: float, middle: float) -> None:
    edges = [edge for edge in table["motif_edge"].to_numpy()[motif].tolist() if edge >= 0]
    nodes = list(dict.fromkeys(node for edge in edges for node in _ends(table, edge)))
    kind = str(table["kind"].to_numpy()[table["motif_kind"].to_numpy()[motif]])
    for number, node in enumerate(nodes):
        _node(axes, table, node, left + number * (BOX + GAP), middle)
    for number, edge in enumerate(edges):
        start = left + number * (BOX + GAP) + BOX
        stop = start + GAP
        if kind == "loop of one":
            _loop(axes, table, edge, left, middle)
        elif kind == "loop of two":
            side = -0.07 if number == 0 else 0.07
            ends = (left + BOX, left + BOX + GAP) if number == 0 else (left + BOX + GAP, left + BOX)
            _arrow(axes, table, edge, ends, middle + side, 2.4 * side)
        else:
            _arrow(axes, table, edge, (start, stop), middle, -0.1)


def _ends(table: xr.Dataset, edge: int) -> tuple[int, int]:
    return int(table["edge_source"].to_numpy()[edge]), int(table["edge_target"].to_numpy()[edge])


def _node(axes: Axes, table: xr.Dataset, node: int, left: float, middle: float) -> None:
    box = FancyBboxPatch(
        (left + 0.02, middle - TALL / 2 + 0.02),
        BOX - 0.04,
        TALL - 0.04,
        boxstyle="round,pad=0.02",
        facecolor="#F6F4F0",
        edgecolor=theme.FAINT,
        linewidth=0.7,
    )
    axes.add_artist(box)
    feature, tag = int(table["node_feature"].to_numpy()[node]), str(table["node_tag"].to_numpy()[node])
    tokens = [shown(str(token)) for token in table["node_token"].to_numpy()[node] if token]
    name = _fitting(f"{feature:,} {visible(tag.rpartition(':')[2])}".strip(), LARGE)
    _write(axes, left + BOX / 2, middle - 0.075, name, theme.INK, LARGE)
    _tokens(axes, tokens, left + BOX / 2, middle + 0.075)


def _tokens(axes: Axes, tokens: Sequence[str], middle: float, y: float) -> None:
    """As many tokens side by side as fit into a box, each a text of its own: none is turned round by its neighbours."""
    inches = [(width(token) + 5) * SMALL / 7.2 / 72 for token in tokens]
    fitting = max(1, sum(sum(inches[: number + 1]) < BOX for number in range(len(tokens))))
    x = middle - sum(inches[:fitting]) / 2
    for token, wide in zip(tokens[:fitting], inches[:fitting], strict=True):
        _write(axes, x + wide / 2, y, _fitting(token, SMALL), theme.FAINT, SMALL)
        x += wide


def _style(is_confirmed: bool) -> dict[str, Any]:
    if is_confirmed:
        return {"color": theme.COLOURS["real"], "linewidth": 1.5, "linestyle": "-"}
    return {"color": theme.FAINT, "linewidth": 0.8, "linestyle": (0, (3, 2))}


def _stroke(is_confirmed: bool, label: str) -> Line2D:
    return Line2D([], [], label=label, **_style(is_confirmed))


def _arrow(
    axes: Axes, table: xr.Dataset, edge: int, ends: tuple[float, float], middle: float, above: float, bend: str = "arc3"
) -> None:
    is_confirmed = bool(table["edge_confirmed"].to_numpy()[edge])
    axes.add_artist(
        FancyArrowPatch(
            (ends[0], middle), (ends[1], middle), arrowstyle="-|>", mutation_scale=7, shrinkA=1, shrinkB=1,
            connectionstyle=bend, **_style(is_confirmed),
        )
    )  # fmt: skip
    _write(axes, (ends[0] + ends[1]) / 2, middle + above, _numbers(table, edge), theme.INK, SMALL)


def _loop(axes: Axes, table: xr.Dataset, edge: int, left: float, middle: float) -> None:
    ends = left + 0.68 * BOX, left + 0.32 * BOX
    _arrow(axes, table, edge, ends, middle - TALL / 2, -0.15, "arc3,rad=0.55")


def _numbers(table: xr.Dataset, edge: int) -> str:
    lift, prediction = (float(table[name].to_numpy()[edge]) for name in ("lift", "prediction"))
    return f"{_short(lift)} ({_short(prediction)})"


def _short(value: float) -> str:
    """Two digits, as many as fit above an arrow."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def _write(axes: Axes, x: float, y: float, text: str, colour: str, size: float, align: str = "center") -> None:
    axes.text(x, y, text, ha=align, va="center_baseline", size=size, color=colour, parse_math=False, zorder=5)


def _fitting(text: str, size: float) -> str:
    """As much of a text as fits into a box."""
    room, cut = 72 * (BOX - 0.08) * 7.2 / size, text
    while width(cut) > room and len(text) > 1:
        text = text[:-1]
        cut = f"{text}…"
    return cut


def _notes(table: xr.Dataset, left_out: int) -> list[str]:
    tried, confirmed = (table[name].to_numpy() for name in ("tried", "confirmed"))
    kinds = table["kind"].to_numpy().astype(str).tolist()
    said = [
        f"{PLURAL[kind]} {int(confirmed[:, place].sum())} of {int(tried[:, place].sum())}"
        for place, kind in enumerate(kinds)
    ]
    notes = [f"Of the strongest ones of all dictionaries, ablation confirms every arrow of: {', '.join(said)}."]
    notes.append(
        f"An arrow needs {table.attrs['fewest']} coincidences, {table.attrs['least_lift']:g} times as many as by "
        "chance, and to be further from chance than any two features in shuffled tokens; between two features also "
        "within documents."
    )
    if "borders" in table.attrs:
        notes.append(f"{str(table.attrs['borders']).capitalize()}.")
    if left_out:
        notes.append(f"Not drawn: {left_out} dictionaries." if left_out > 1 else "Not drawn: one dictionary.")
    return notes
