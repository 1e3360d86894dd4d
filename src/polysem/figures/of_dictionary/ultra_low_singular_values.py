"""S2.F7: whether the decoder rows of ultra-low features have a common direction."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F7"
READS = ("ultra_low",)
PARAMS = ()
TITLE = "Ultra-low decoder rows by singular direction"
CAPTION = """\
Share of the squared norm of the ultra-low features' decoder rows along each of their singular directions, and its
running sum; rows are scaled to norm 1 and not centred. Independent random rows give the dashed curve, by Marchenko and
Pastur's law. One tall first direction would mean that the decoder rows are alike, too. Source: document S2, section
"Ultra Low Frequency Features Are All The Same Feature".
"""
OURS: Any = {"color": theme.COLOURS["ultra_low"], "linewidth": 3.5}
RANDOM: Any = {"color": theme.COLOURS["random"], "linewidth": 1.3, "linestyle": "--"}
FLOOR = 1e-4
"""Percent below which shares are not drawn: rounding, and rows that others span."""


@theme.styled
def draw(ultra_low: xr.Dataset, analysis: Analysis) -> Figure:
    """Share of the squared norm of the ultra-low decoder rows by singular direction, and its running sum.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    if reason := ultra_low.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    figure = theme.sheet()
    each, summed = figure.subplots(1, 2)
    places = ultra_low["singular"].to_numpy()
    lowest = 100.0
    for name, style in (("variance_share", OURS), ("variance_share_random", RANDOM)):
        share = 100 * ultra_low[name].to_numpy()
        marker = "." if share.size < 60 else ""
        each.plot(places, np.where(share > FLOOR, share, np.nan), marker=marker, **style)
        summed.plot(places, share.cumsum(), marker=marker, **style)
        lowest = min(lowest, float(share[share > FLOOR].min()))
    each.set(xscale="log", yscale="log", xlim=(0.8, 1.2 * max(places[-1], 10)), ylim=(lowest / 1.6, 160))
    each.set(xlabel="singular direction, by rank (log scale)", ylabel="% of the squared norm (log scale)")
    summed.set(xlim=(0, places[-1] + 1), ylim=(0, 104))
    summed.set(xlabel="singular directions, strongest first", ylabel="% of the squared norm, summed")
    theme.number_in_thousands(summed.xaxis)
    share = ultra_low["variance_share"].to_numpy()
    half = int(ultra_low["variance_share_directions"].sel(held_share=0.5))
    theme.frame(
        figure,
        ultra_low,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            Line2D([], [], label="ultra-low decoder rows", **OURS),
            Line2D([], [], label="independent random rows (Marchenko–Pastur)", **RANDOM),
        ],
        notes=[
            f"{theme.several(int(ultra_low['ultra_low_features']), 'decoder row')}, each scaled to norm 1, not "
            f"centred. The strongest direction holds {100 * share[0]:.1f} % (random rows: "
            f"{100 * float(ultra_low['variance_share_random'][0]):.1f} %); half of it lies in "
            f"{theme.several(half, 'direction')}."
        ],
    )
    return figure
