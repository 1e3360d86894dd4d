"""S0.F3b: how far decoder rows are from Gaussian over the neurons."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.clipped_range import clipped_edges, tail_in_words
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F3b"
READS = ("alignment",)
PARAMS = ()
TITLE = "Decoder kurtosis"
CAPTION = """\
Pearson kurtosis of each decoder row over the neurons; a row of Gaussian weights has 3, and a large value means that
the neuron basis is privileged. The histogram ends four interquartile ranges above the third quartile; how many
features lie beyond, and how far, is written under it. Source: document S0, section "Distribution of neuron
importance", middle panel.
"""
GAUSSIAN = 3.0


@theme.styled
def draw(alignment: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of Pearson kurtosis (Fisher's excess + 3) of each decoder row over neurons, its tail counted.

    Source: document S0, section "Distribution of neuron importance", middle panel.
    """
    figure = theme.sheet()
    axes = figure.subplots()
    kurtosis = alignment["kurtosis_excess"].to_numpy() + GAUSSIAN
    finite = kurtosis[np.isfinite(kurtosis)]
    edges = clipped_edges(finite, np.array([GAUSSIAN]))
    counts, _ = np.histogram(finite, edges)
    axes.stairs(counts, edges, fill=True, color=theme.COLOURS["real"])
    axes.axvline(GAUSSIAN, color=theme.INK, linewidth=1.1, linestyle="--")
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.06 * max(1, counts.max())))
    axes.set_xlabel(f"Pearson kurtosis of the decoder row over {alignment.attrs['neurons']:,} neurons")
    axes.set_ylabel(f"features per bin of {theme.scientific(edges[1] - edges[0])}")
    theme.number_in_thousands(axes.yaxis)
    if not finite.size:
        theme.message(axes, "no decoder row has a kurtosis")
    notes = [f"{theme.several(finite.size, 'feature')}: {tail_in_words(finite, edges)}"]
    if lost := kurtosis.size - finite.size:
        notes.append(f"Left out: {theme.counted(lost, kurtosis.size)} without a kurtosis.")
    theme.frame(
        figure,
        alignment,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("real", "features"),
            Line2D([], [], color=theme.INK, linewidth=1.1, linestyle="--", label="Gaussian rows: 3"),
        ],
        notes=[" ".join(notes)],
    )
    return figure
