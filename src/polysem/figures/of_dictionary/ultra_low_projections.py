"""S2.F5: how far each encoder row reaches along the mean direction of the ultra-low ones."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_groups import baseline, bins, groups, legend, stack, threshold_in_words
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.tables.parts.frequency_classes import FREQUENT, ULTRA_LOW

CATALOGUE = "S2.F5"
READS = ("ultra_low", "frequency")
PARAMS = ("ultra_low_frequency",)
TITLE = "Encoder rows along the mean ultra-low direction"
CAPTION = """\
How far every encoder row reaches along the mean encoder row of the ultra-low features, scaled to norm 1. The outline
shows rows of the same norms that point at random. Ultra-low features reach far, though not equally far, if they are
the same feature in several sizes. Source: document S2, section "Ultra Low Frequency Features Are All The Same
Feature".
"""


@theme.styled
def draw(ultra_low: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of the component of each encoder row along the mean ultra-low direction, which has norm 1.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    if reason := ultra_low.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    figure = theme.sheet(4.8)
    axes = figure.subplots()
    projection, random = (ultra_low[name].to_numpy() for name in ("mean_projection", "mean_projection_random"))
    members = groups(frequency, analysis)
    both = np.concatenate([projection, random])
    edges = np.linspace(both.min(), both.max() + 1e-6 * (np.ptp(both) or 1), bins(projection.size) + 1)
    highest = max(stack(axes, projection, members, edges), baseline(axes, random, edges, projection.size))
    axes.axvline(0, color=theme.FAINT, linewidth=0.8)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.06 * max(1.0, highest)))
    axes.set_xlabel("component of the encoder row along the mean ultra-low direction (encoder weight)")
    axes.set_ylabel(f"features per bin of {theme.scientific(edges[1] - edges[0])}")
    theme.number_in_thousands(axes.yaxis)
    median = ultra_low["mean_projection_median"]
    theme.frame(
        figure,
        ultra_low,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend(members, analysis, "random directions of the encoder rows' norms, as many as features"),
        columns=1,
        notes=[
            f"{theme.several(projection.size, 'feature')}, none clipped. Median component: ultra-low "
            f"{_in_words(median.sel(frequency_class=ULTRA_LOW))}, others "
            f"{_in_words(median.sel(frequency_class=FREQUENT))}, the never active left out. "
            f"{threshold_in_words(frequency, analysis)}"
        ],
    )
    return figure


def _in_words(median: xr.DataArray) -> str:
    return theme.scientific(float(median)) if np.isfinite(median) else "none"
