"""S2.F1: features of one neuron, of about ten, and of many."""

from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.power_axes import prepare_power_axes
from polysem.params.analysis import Analysis
from polysem.tables.parts.neuron_sparsity import sparsity_classes

CATALOGUE = "S2.F1"
READS = ("alignment", "frequency")
PARAMS = ("ultra_low_frequency", "one_sparse", "next_nine")
TITLE = "Neuron sparsity of features"
CAPTION = """\
Share of squared decoder weight in the strongest neuron against the next nine, in three clusters. A feature is 1-sparse
if its strongest neuron holds more than ``analysis.one_sparse`` and the next nine less than ``analysis.next_nine``,
10-sparse if the ten together hold more than ``analysis.one_sparse`` and it is not 1-sparse, and dense otherwise.
Ultra-low-frequency features are left out. Source: document S2, section "Exploring Neuron Sparsity".
"""


@theme.styled
def draw(alignment: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Scatter of decoder power in the strongest neuron and the next nine, coloured by cluster, ultra-low left out.

    Source: document S2, section "Exploring Neuron Sparsity".
    """
    figure = theme.sheet(5.2)
    axes = figure.subplots()
    kept = frequency["frequency"].to_numpy() >= analysis.ultra_low_frequency
    shown = alignment.isel(feature=kept)
    classes = sparsity_classes(shown, analysis).to_numpy()
    top, following = shown["power_top1"].to_numpy(), shown["power_next9"].to_numpy()
    prepare_power_axes(axes, top, following)
    theme.scatter(axes, top, following, [str(name) for name in classes])
    _draw_borders(axes, analysis)
    whole, single, nine = classes.size, f"{analysis.one_sparse:g}", f"{analysis.next_nine:g}"
    meaning = {
        "dense": "all others",
        "10-sparse": f"top ten > {single}, not 1-sparse",
        "1-sparse": f"strongest > {single}, next nine < {nine}",
    }
    theme.frame(
        figure,
        alignment,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.dot(name, f"{name}: {theme.counted(int((classes == name).sum()), whole)} – {words}")
            for name, words in meaning.items()
        ],
        columns=1,
        notes=[
            f"{whole:,} features; shares are of these. Left out: {theme.counted(int((~kept).sum()), kept.size)} of "
            f"{kept.size:,} features, active on < {theme.scientific(analysis.ultra_low_frequency)} of eval tokens. "
            "Solid lines part the clusters.",
            *_empty([name for name in meaning if not (classes == name).any()]),
        ],
    )
    return figure


def _empty(names: list[str]) -> list[str]:
    """A note on the clusters in which there is nothing."""
    if not names:
        return []
    return [f"No feature of this dictionary is {' or '.join(names)}; other recipes of the site may have some."]


def _draw_borders(axes: Axes, analysis: Analysis) -> None:
    edge, nine = analysis.one_sparse, min(analysis.next_nine, analysis.one_sparse)
    style: dict[str, Any] = {"color": theme.INK, "linewidth": 0.9, "zorder": 4}
    axes.plot([0, edge], [edge, 0], **style)
    axes.plot([edge, edge, 1], [0, nine, nine], **style)
