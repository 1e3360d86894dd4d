"""S2.F11: how far encoder and decoder rows of a feature agree."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_groups import bins, groups, legend, stack
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F11"
READS = ("geometry", "frequency")
PARAMS = ("ultra_low_frequency",)
TITLE = "Encoder rows against decoder rows"
CAPTION = """\
The cosine of each feature's encoder row with its decoder row, ultra-low features in a colour of their own, and the
median of the others. The outline shows random pairs of directions. Encoders that are far from 1 are a reason not to
tie the weights. Source: document S2, "Should encoder and decoder weights be tied?".
"""


@theme.styled
def draw(geometry: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of the cosine of encoder and decoder row, ultra-low features told apart; random pairs outlined.

    Source: document S2, "Should encoder and decoder weights be tied?".
    """
    if reason := geometry.attrs.get("encoder_decoder_not_applicable"):
        raise NotApplicable(reason)
    figure = theme.sheet(4.9)
    axes = figure.subplots()
    cosine = geometry["encoder_decoder_cosine"].to_numpy()
    members = groups(frequency, analysis)
    lowest = min(-0.1, float(np.nanmin(cosine)))
    edges = np.linspace(np.floor(10 * lowest) / 10, 1.0, bins(cosine.size) + 1)
    highest = stack(axes, cosine.clip(max=1.0), members, edges)
    random = geometry["decoder_cosine_pairs"].sel(kind="random").to_numpy()
    fine = geometry["cosine_edge"].to_numpy()
    centres = (fine[1:] + fine[:-1]) / 2
    chance, _ = np.histogram(centres, edges, weights=random)
    axes.stairs(
        chance * cosine.size / max(1, random.sum()), edges, color=theme.COLOURS["random"], linewidth=1.3, zorder=1
    )
    median = float(geometry["encoder_decoder_cosine_median"])
    if np.isfinite(median):
        axes.axvline(median, color=theme.INK, linewidth=1.1, linestyle="--")
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.15 * max(1.0, highest)))
    axes.set_xlabel("cosine of the feature's encoder row and decoder row")
    axes.set_ylabel(f"features per bin of {theme.scientific(edges[1] - edges[0])}")
    theme.number_in_thousands(axes.yaxis)
    entries = legend(
        members, analysis, f"random pairs, as many as features{_cut(chance, cosine.size, random, highest)}"
    )
    if np.isfinite(median):
        label = f"median of the features that are not ultra-low: {median:.3f}"
        entries.append(Line2D([], [], color=theme.INK, linewidth=1.1, linestyle="--", label=label))
    missing = int((~np.isfinite(cosine)).sum())
    theme.frame(
        figure,
        geometry,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=entries,
        columns=1,
        notes=[
            f"{theme.several(cosine.size, 'feature')}. Tied weights have 1. Document: median 0.5, two modes."
            + (f" Left out: {missing:,} whose encoder row is zero." if missing else "")
        ],
    )
    return figure


def _cut(chance: np.ndarray, features: int, random: np.ndarray, highest: float) -> str:
    reached = float(chance.max()) * features / max(1, int(random.sum()))
    return f" (cut, up to {reached:,.0f})" if reached > 1.15 * max(1.0, highest) else ""
