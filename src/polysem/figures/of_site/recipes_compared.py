"""S2.M2-M4, S2.X1, S2.X3: what the options of recipes change, for all SAEs of a site side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.parts.predicted_sites import elsewhere
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS
from polysem.tables.parts.frequency_classes import NEVER, ULTRA_LOW

CATALOGUE = "S2.M2 S2.M3 S2.M4 S2.X1 S2.X3"
READS = ("site/fidelity", "ultra_low", "geometry")
PARAMS = ("ultra_low_frequency",)
TITLE = "Recipes compared"
CAPTION = """\
All SAEs of a site side by side; with more than 16 of them, a row per recipe. Which keys of a recipe answer which
question: ``dead_features: reinitialise`` and ``loss_weighted`` S2.M2, ``decoder_norm: unit`` and ``project_only``
S2.M3, the site ``hook_mlp_out`` beside ``mlp.hook_post`` S2.M4 (the same figure at the other site), ``encoder_l1`` and
``encoder_l2`` S2.X1 (does the ultra-low cluster survive?), ``tied`` S2.X3. Compare loss recovered at the same L0 only.
Source: document S2, "Implementation Details", "Misc Questions" and its comments.
"""
APART = 16
"""SAEs up to which each has a row of its own; more of them stand in the row of their recipe."""
MOST = 60
"""Rows that are drawn."""
ROW = 0.21
LONGEST = 30
"""Characters of a row's name."""


@dataclass(frozen=True)
class Measure:
    """A column of the figure: a value per dictionary, NaN where there is none."""

    title: str
    values: NDArray[np.float64]
    logarithmic: bool = False
    share: bool = True


@theme.styled
def draw(site_fidelity: xr.Dataset, ultra_low: xr.Dataset, geometry: xr.Dataset, analysis: Analysis) -> Figure:
    """A dot per SAE in each of six small plots, a row per SAE, or per recipe where there are many.

    Sources: document S2, "Implementation Details", "Misc Questions" and its comments.
    """
    names = np.array([str(name) for name in site_fidelity["dictionary"].to_numpy()])
    if (names == NEURONS).all():
        raise NotApplicable("this site has no SAE; name one under saes")
    families = [str(family) for family in site_fidelity["family"].to_numpy()]
    rows, row_of = _rows(names, families)
    measures = _measures(site_fidelity, ultra_low, geometry)
    shown = min(len(rows), MOST)
    figure = theme.sheet(2.15 + ROW * shown)
    every = figure.subplots(1, len(measures), sharey=True)
    for axes, measure in zip(every, measures, strict=True):
        _draw(axes, measure, families, row_of, shown)
    first: Axes = every[0]
    first.set(ylim=(shown - 0.4, -0.6), yticks=range(shown))
    first.set_yticklabels([_short(row) for row in rows[:shown]], parse_math=False, size=8)
    theme.frame(
        figure,
        site_fidelity,
        title=TITLE,
        catalogue=CATALOGUE,
        notes=[_note(names, rows, measures, analysis, ultra_low), *elsewhere(site_fidelity)],
    )
    return figure


def _rows(names: NDArray[np.str_], families: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the rows, and the row of each dictionary."""
    saes = int((names != NEURONS).sum())
    of = [str(name) for name in names] if saes <= APART else families
    rows = list(dict.fromkeys(of))
    return rows, np.array([rows.index(name) for name in of])


def _measures(fidelity: xr.Dataset, ultra_low: xr.Dataset, geometry: xr.Dataset) -> list[Measure]:
    def known(table: xr.Dataset, name: str) -> NDArray[np.float64]:
        if name not in table:
            return np.full(fidelity.sizes["dictionary"], np.nan)
        return table[name].to_numpy().astype(np.float64)

    def share(of: str) -> NDArray[np.float64]:
        return known(ultra_low.sel(frequency_class=of), "class_share")

    return [
        Measure("L0", known(fidelity, "L0"), logarithmic=True, share=False),
        Measure("explained\nvariance, %", 100 * known(fidelity, "explained_variance")),
        Measure("loss\nrecovered, %", 100 * known(fidelity, "loss_recovered_zero")),
        Measure("ultra-low\nfeatures, %", 100 * share(ULTRA_LOW)),
        Measure("never active\nfeatures, %", 100 * share(NEVER)),
        Measure("median cosine\nenc. · dec.", known(geometry, "encoder_decoder_cosine_median"), share=False),
    ]


def _draw(axes: Axes, measure: Measure, families: Sequence[str], row_of: NDArray[np.int64], rows: int) -> None:
    recipes = list(dict.fromkeys(family for family in families if family != NEURONS))
    for place in range(rows):
        axes.axhline(place, color="#E6E6E6", linewidth=0.7, zorder=1)
    for family, row, value in zip(families, row_of, measure.values, strict=True):
        if not np.isfinite(value) or row >= rows:
            continue
        colour = theme.FAINT
        if family != NEURONS:
            colour = theme.FAMILIES[recipes.index(family) % len(theme.FAMILIES)]
        at = max(value, 0.0) if measure.share else value
        axes.plot(at, row, "o", color=colour, markersize=5, alpha=0.85, markeredgewidth=0, clip_on=False, zorder=3)
    if measure.logarithmic:
        axes.set_xscale("log")
        known = measure.values[np.isfinite(measure.values) & (measure.values > 0)]
        if known.size:
            axes.set_xlim(min(known.min() / 1.3, known.max() / 4), known.max() * 1.3)
        theme.plain_log_ticks(axes.xaxis, short=1)
    else:
        known = measure.values[np.isfinite(measure.values)]
        top = max(100.0 if measure.share and known.size and known.max() > 50 else 0.0, known.max() if known.size else 1)
        axes.set_xlim(min(0.0, 0.0 if measure.share or not known.size else known.min()), (top or 1.0) * 1.04)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.set_title(measure.title, size=8.2, loc="left", color=theme.INK)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _firings(ultra_low: xr.Dataset) -> str:
    """The threshold in firings, which is the same for all dictionaries of a site."""
    return f"{float(ultra_low['ultra_low_threshold_firings'].max()):.3g} firings"


def _note(
    names: NDArray[np.str_], rows: list[str], measures: list[Measure], analysis: Analysis, ultra_low: xr.Dataset
) -> str:
    saes = int((names != NEURONS).sum())
    words = [
        f"{theme.several(saes, 'SAE')}, a row per {'SAE' if saes <= APART else 'recipe'}, a colour per recipe. L0: "
        "mean number of active features per token. Ultra-low: active on < "
        f"{theme.scientific(analysis.ultra_low_frequency)} of eval tokens ({_firings(ultra_low)}), but on one "
        "at least. Cosine: of encoder and decoder row, ultra-low features left out."
    ]
    below = sum(int((measure.values < 0).sum()) for measure in measures if measure.share)
    if below:
        words.append(f"Drawn at 0: {theme.several(below, 'value')} below it.")
    if len(rows) > MOST:
        words.append(f"Drawn: the first {MOST} of {len(rows)} recipes.")
    return " ".join(words)
