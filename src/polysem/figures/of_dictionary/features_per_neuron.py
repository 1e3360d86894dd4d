"""S0.F3c: of how many features each neuron is the strongest."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F3c"
READS = ("alignment", "frequency")
PARAMS = ("rare_frequency",)
TITLE = "Features per neuron"
CAPTION = """\
For each neuron, the number of features of which it is the strongest neuron, as a histogram over the neurons. The
neuron that leads is named, with how many of its features are rare and how many common. Source: document S0, section
"Distribution of neuron importance", right panel.
"""
BINS = 60
LOG_FLOOR = 0.5
"""Where bars on the log axis start, so that a single neuron is seen."""


@theme.styled
def draw(alignment: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram over neurons of the number of features whose strongest neuron it is; names the top neuron.

    Source: document S0, section "Distribution of neuron importance", right panel.
    """
    figure = theme.sheet()
    axes = figure.subplots()
    strongest = alignment["strongest_neuron"].to_numpy().astype(int)
    counts = alignment["features_strongest"].to_numpy()
    most = int(counts.max())
    width = -(-(most + 1) // BINS)
    edges = np.arange(0, most + 1 + width, width) - 0.5
    neurons, _ = np.histogram(counts, edges)
    axes.stairs(neurons, edges, fill=True, baseline=LOG_FLOOR, color=theme.COLOURS["bulk"])
    axes.set(yscale="log", ylim=(LOG_FLOOR, 2.5 * neurons.max()), xlim=(-0.02 * most - 0.7, max(edges[-1], 5) + 0.5))
    theme.number_in_thousands(axes.xaxis)
    axes.set_xlabel("features whose strongest neuron this is")
    axes.set_ylabel("neurons" + (f" per bin of {width}" if width > 1 else "") + " (log scale)")
    leaders = np.flatnonzero(counts == most)
    rare = frequency["frequency"].to_numpy() < analysis.rare_frequency
    of_leader = strongest == leaders[0]
    label = (
        f"neuron {leaders[0]} leads: strongest of {theme.several(most, 'feature')}, "
        f"{int((rare & of_leader).sum()):,} rare and {int((~rare & of_leader).sum()):,} common"
    )
    if leaders.size > 1:
        label += f" (tied with {leaders.size - 1:,} more)"
    last = int(np.searchsorted(edges, most)) - 1
    (mark,) = axes.plot(edges[last : last + 2].mean(), 1.5 * neurons[last], "v", color=theme.INK, label=label)
    idle = int((counts == 0).sum())
    theme.frame(
        figure,
        alignment,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[mark],
        columns=1,
        notes=[
            f"{strongest.size:,} features over {counts.size:,} neurons. Neurons that are the strongest of no feature: "
            f"{theme.counted(idle, counts.size)}. Rare: active on < {theme.scientific(analysis.rare_frequency)} of "
            "eval tokens, never-active features included."
        ],
    )
    return figure
