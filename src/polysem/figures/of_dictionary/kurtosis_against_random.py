"""S2.F2: kurtosis of decoder rows against rows drawn at random."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.clipped_range import clipped_edges, tail_in_words
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F2"
READS = ("alignment", "frequency")
PARAMS = ("ultra_low_frequency",)
TITLE = "Kurtosis against a random decoder"
CAPTION = """\
Excess kurtosis (Fisher: a Gaussian has 0) of the decoder rows over the neurons, in red, against rows of independent
standard normal weights of the same width, in blue. Each histogram is in percent of its own rows. Ultra-low-frequency
features are left out and the clipped tail is counted. Source: document S2, section "Exploring Neuron Sparsity".
"""
GAUSSIAN = 0.0


@theme.styled
def draw(alignment: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histograms of Fisher excess kurtosis, features in red and standard-normal rows in blue, ultra-low left out.

    Each histogram is in percent of its own rows, for there need not be as many of one as of the other.
    Source: document S2, section "Exploring Neuron Sparsity".
    """
    figure = theme.sheet()
    axes = figure.subplots()
    kept = frequency["frequency"].to_numpy() >= analysis.ultra_low_frequency
    shown = alignment["kurtosis_excess"].to_numpy()[kept]
    real = shown[np.isfinite(shown)]
    random = alignment["kurtosis_excess_random"].to_numpy()
    random = random[np.isfinite(random)]
    edges = clipped_edges(real, np.append(random, GAUSSIAN))
    for values, colour in ((random, "random"), (real, "real")):
        counts, _ = np.histogram(values, edges)
        shares = 100 * counts / max(1, values.size)
        axes.stairs(shares, edges, fill=True, color=theme.COLOURS[colour], alpha=0.55)
        axes.stairs(shares, edges, color=theme.COLOURS[colour], linewidth=1.1)
    axes.set(xlim=(edges[0], edges[-1]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"excess kurtosis (Gaussian = 0) of the row over {alignment.attrs['neurons']:,} neurons")
    axes.set_ylabel(f"% of rows per bin of {theme.scientific(edges[1] - edges[0])}")
    lost = shown.size - real.size
    theme.frame(
        figure,
        alignment,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("real", theme.several(real.size, "feature")),
            theme.swatch("random", f"{random.size:,} random standard-normal rows"),
        ],
        notes=[
            f"Features: {tail_in_words(real, edges)}",
            f"Left out: {theme.counted(int((~kept).sum()), kept.size)} of {kept.size:,} features, active on < "
            f"{theme.scientific(analysis.ultra_low_frequency)} of eval tokens"
            + (f", and {lost:,} without a kurtosis." if lost else "."),
        ],
    )
    return figure
