"""S0.F3a: how much of a feature's direction lies along its strongest neurons."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.power_axes import prepare_power_axes
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F3a"
READS = ("alignment", "frequency")
PARAMS = ("rare_frequency",)
TITLE = "Decoder power: strongest neuron against next nine"
CAPTION = """\
Where features point in the neuron basis: the share of a decoder row's squared weight in its strongest neuron against
the share in the next nine. A feature aligned with one neuron lies at the lower right, a dense one near the origin.
Features rarer than ``analysis.rare_frequency`` have a colour of their own. Source: document S0, section "Distribution
of neuron importance", left panel.
"""


@theme.styled
def draw(alignment: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Scatter of the shares of squared decoder weight, rare and common features in two colours.

    Source: document S0, section "Distribution of neuron importance", left panel.
    """
    figure = theme.sheet(5.0)
    axes = figure.subplots()
    top, following = (alignment[power].to_numpy() for power in ("power_top1", "power_next9"))
    rare = frequency["frequency"].to_numpy() < analysis.rare_frequency
    prepare_power_axes(axes, top, following)
    theme.scatter(axes, top, following, list(np.where(rare, "rare", "common")))
    threshold = theme.scientific(analysis.rare_frequency)
    theme.frame(
        figure,
        alignment,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.dot("rare", f"rare, active on < {threshold} of tokens: {theme.counted(int(rare.sum()), rare.size)}"),
            theme.dot("common", f"common: {theme.counted(int((~rare).sum()), rare.size)}"),
        ],
        notes=[
            f"One point per feature, {rare.size:,} in all; never-active features count as rare. On the dotted line "
            "ten neurons hold everything."
        ],
    )
    return figure
