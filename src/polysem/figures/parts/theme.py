"""The one look of all figures: sizes, fonts, and colours that mean the same everywhere."""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import (
    FuncFormatter,
    LogFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)

from polysem.io.atomic import written

COLOURS = {
    "common": "#E69F00",
    "rare": "#009E73",
    "real": "#D55E00",
    "random": "#0072B2",
    "dense": "#A3A8AE",
    "10-sparse": "#CC79A7",
    "1-sparse": "#332288",
    "ultra_low": "#56B4E9",
    "never": "#4D4D4D",
    "bulk": "#A3A8AE",
    "with_tag": "#0072B2",
    "without_tag": "#A3A8AE",
    "aligned": "#AA3377",
    "power_law": "#000000",
    "exponential": "#AA3377",
    "truncated_power_law": "#0072B2",
    "activation": "#E8742C",
    "less_likely": "#332288",
    "likelier": "#009E73",
    "neuron_embedding": "#D55E00",
    "input_embedding": "#0072B2",
}
"""What each colour stands for, after Okabe & Ito and Tol: told apart with any common colour blindness."""

FAMILIES = ("#0072B2", "#D55E00", "#117733", "#AA3377", "#7A5C00", "#332288", "#3C7F8B", "#4D4D4D")
"""Lines of recipes, in the order of the params file; each has its name beside it and a marker of its own, too."""
INK, FAINT = "#1A1A1A", "#5A5A5A"
WIDTH = 7.2
"""Inches: the width of a page, so that font sizes are those on paper."""
TITLE_BAND, LEGEND_ROW, NOTE_LINE, EDGE = 0.60, 0.20, 0.165, 0.10
NOTE_CHARACTERS = 108
UNBROKEN = re.compile(r"(?<=[<∝]) | (?=[%∝])")
"""Spaces at which no line may end: between a sign and its number."""
RASTER_DPI = 200
FEW_DECADES = 3
"""Log axes over no more than these have ticks between the decades."""
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 4}

TICKS: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.spines.left": True,
    "axes.spines.bottom": True,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.bottom": True,
    "xtick.top": False,
    "ytick.left": True,
    "ytick.right": False,
    "grid.linestyle": "-",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
}
"""What is left of seaborn's style "ticks" below: importing seaborn takes a second, as long as drawing eight figures."""

STYLE: Any = {
    **TICKS,
    "font.family": ["DejaVu Sans"],  # ships with Matplotlib: the same glyphs, and bytes, on every machine
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.labelpad": 5,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.8,
    "svg.fonttype": "path",
    "svg.hashsalt": "polysem",
    "savefig.dpi": RASTER_DPI,
}

Arguments = ParamSpec("Arguments")
DRAWING = RLock()
"""Matplotlib's settings are those of the whole process, so one thread at a time draws or saves under the theme."""


@contextmanager
def _style() -> Iterator[None]:
    """The theme, and beside it Matplotlib's defaults: a matplotlibrc of the user changes no figure."""
    with DRAWING, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw under the theme, whatever the caller's Matplotlib settings, and leave those as they were."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return drawn


def sheet(height: float = 4.4) -> Figure:
    """An empty figure of page width; `height` in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def frame(
    figure: Figure,
    table: xr.Dataset,
    *,
    title: str,
    catalogue: str,
    notes: Sequence[str] = (),
    legend: Sequence[Artist] = (),
    columns: int = 2,
) -> None:
    """Set title, legend and notes in bands above and below the axes, where they can cover nothing.

    The second title line says model / site / dictionary, from the table's attributes, or that all sites of a model are
    shown, and what a transcoder predicts.
    Each note is a sentence about what is counted, clipped or left out.
    """
    height = figure.get_figheight()
    lines = [
        line
        for note in [*notes, *whose_neurons(table)]
        for line in textwrap.wrap(UNBROKEN.sub("\u00a0", note), NOTE_CHARACTERS)
    ]
    rows = -(-len(legend) // columns)
    left = EDGE / WIDTH
    top = TITLE_BAND + (rows * LEGEND_ROW + EDGE / 2 if rows else 0)
    bottom = len(lines) * NOTE_LINE + (1.5 * EDGE if lines else EDGE / 2)

    def write(inches_from_top: float, text: str, **style: Any) -> None:
        text_artist = figure.text(left, 1 - inches_from_top / height, text, va="top", parse_math=False, **style)
        text_artist.set_in_layout(False)

    write(EDGE, f"{catalogue}  {title}", size=11.5, weight="bold")
    origin = " / ".join(str(table.attrs[key]) for key in ("model", "site", "dictionary") if key in table.attrs)
    if "site" not in table.attrs:
        origin += " / all sites"
    if target := table.attrs.get("target"):
        origin += f" → {target}"
    write(EDGE + 0.23, origin, size=min(9.0, 9.0 * 92 / len(origin)), color=FAINT)
    if lines:
        write(height - bottom + EDGE / 2, "\n".join(lines), size=8.2, color=FAINT, linespacing=1.35)
    if legend:
        box = figure.legend(
            handles=list(legend), loc="upper left", ncols=columns, bbox_to_anchor=(left, 1 - TITLE_BAND / height)
        )
        box.set_in_layout(False)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, bottom / height, 1, 1 - (top + bottom) / height), w_pad=EDGE, h_pad=0.04)  # type: ignore[call-arg]


def whose_neurons(table: xr.Dataset) -> list[str]:
    """A note for what shows decoder rows of a transcoder; nothing for other tables and other dictionaries."""
    site = table.attrs.get("decoder_site")
    return [f"Decoder rows are over the neurons of {site}, which the transcoder predicts."] if site else []


def lay_out(figure: Figure) -> None:
    """Place the axes now, for what is drawn to the measure of a panel; saving places them just so."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of laid-out axes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_position()
    return float(box.width * figure.get_figwidth()), float(box.height * figure.get_figheight())


def swatch(colour: str, label: str) -> Patch:
    """A legend entry for a filled area."""
    return Patch(facecolor=COLOURS[colour], label=label)


def dot(colour: str, label: str) -> Line2D:
    """A legend entry for the points of a scatter plot, opaque whatever the points are."""
    return Line2D([], [], marker="o", linestyle="", markersize=6, color=COLOURS[colour], label=label)


def scatter(axes: Axes, x: np.ndarray, y: np.ndarray, colours: Sequence[str]) -> None:
    """One rasterised layer of points; `colours` (keys of `COLOURS`) by point, so that no class lies on top."""
    size, alpha = (26.0, 0.8) if x.size < 1000 else (9.0, 0.55) if x.size < 20_000 else (4.0, 0.35)
    shades = [COLOURS[colour] for colour in colours]
    axes.scatter(x, y, s=size, c=shades, alpha=alpha, linewidths=0, rasterized=True, clip_on=False, zorder=3)


def message(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT, bbox=PAPER, zorder=6)


def number_in_thousands(axis: Axis) -> None:
    """Label a linear axis with counts as `12,000`."""
    axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def plain_log_ticks(axis: Axis, short: float = 2) -> None:
    """Label a log axis at 1, 2 and 5 of each decade if it is of fewer than `short`, else at the decades, with plain
    numbers; no ticks in between, which take most of the time that a figure of many small axes takes."""
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if np.log10(high / low) < short else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: scientific(value)))
    axis.set_minor_locator(NullLocator())


def _light_log_ticks(axis: Axis) -> None:
    """Powers of ten as text, where Matplotlib would set a formula at each, and no ticks between them along many: both
    take longer than all that is drawn."""
    low, high = sorted(axis.get_view_interval())
    axis.set_major_formatter(FuncFormatter(lambda value, _: scientific(value)))
    axis.set_minor_formatter(NullFormatter())
    if high > low * 10**FEW_DECADES:
        axis.set_minor_locator(NullLocator())


def several(count: int, noun: str) -> str:
    """`1 feature`, `2,000 features`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def counted(part: int, whole: int) -> str:
    """A count with its share, `161 (3.9 %)`."""
    return f"{part:,} ({percent(part, whole)})"


def percent(part: int, whole: int) -> str:
    """The share in percent with one decimal, with more where it would be rounded to nought or to all."""
    if not whole:
        return "0 %"
    share = 100 * part / whole
    if part in (0, whole):
        return f"{share:.0f} %"
    nearest_end = min(share, 100 - share)
    return f"{share:.1f} %" if nearest_end >= 0.05 else f"{share:.{int(np.ceil(-np.log10(nearest_end)))}f} %"


def scientific(value: float) -> str:
    """`1.4×10⁻⁶`; powers of ten without the factor, and numbers from 0.01 to 99,999 as they are."""
    if not np.isfinite(value):
        return "∞" if value > 0 else "undefined"
    if not value or 0.01 <= abs(value) < 1e5:
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    factor, exponent = f"{value:.1e}".split("e")
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if factor == "1.0" else f"{factor.removesuffix('.0')}×{power}"


def save(figure: Figure, path: Path) -> None:
    """Write the figure as SVG, whole or not at all; the same figure gives the same bytes.

    The layout is made here and then the canvas prints: `savefig` would draw everything once more before, only for it.
    """
    with _style(), written(path) as partial:
        for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
            if isinstance(axis.get_major_formatter(), LogFormatter):
                _light_log_ticks(axis)
        canvas = FigureCanvasSVG(figure)
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
            for (
                axes
            ) in figure.axes:  # the solver's last digits differ between processes, and clip paths are named by them
                left, bottom, width, height = (round(float(n), 9) for n in axes.get_position(original=True).bounds)
                axes.set_position((left, bottom, width, height))
        figure.set_dpi(RASTER_DPI)  # after the layout, which leaves another
        canvas.print_svg(partial, metadata={"Date": None, "Creator": None})
