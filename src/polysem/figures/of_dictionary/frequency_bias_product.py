"""S2.F13: what sets the ultra-low features apart: frequency, encoder bias, and encoder times decoder."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_groups import bins, groups, legend, stack
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F13"
READS = ("geometry", "frequency")
PARAMS = ("ultra_low_frequency",)
TITLE = "Frequency, encoder bias, and encoder · decoder"
CAPTION = """\
The logarithm of the frequency, the encoder's bias, and the inner product of the encoder and the decoder row, each
against the others, with ultra-low features in a colour of their own. Features that were never active have no logarithm
and are counted below. Source: document S2, comments, after a plot of Anthropic's.
"""
TAIL = 0.002
"""Share of the features that may lie outside of each end of an axis."""


@theme.styled
def draw(geometry: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Pair plot of the logarithm of the frequency, the encoder's bias, and the product of encoder and decoder row.

    Source: document S2, comments (after Anthropic's plot of the three).
    """
    if reason := geometry.attrs.get("encoder_decoder_not_applicable"):
        raise NotApplicable(reason)
    share = frequency["frequency"].to_numpy()
    active = share > 0
    if not active.any():
        raise NotApplicable("no feature is active on any eval token, so that none has a logarithm of its frequency")
    members = {name: member[active] for name, member in groups(frequency, analysis).items() if name != "never"}
    values = {
        "log₁₀ frequency": np.log10(share[active]),
        "encoder bias": geometry["encoder_bias"].to_numpy()[active],
        "encoder · decoder": geometry["encoder_decoder_product"].to_numpy()[active],
    }
    figure = theme.sheet(7.6)
    panels = figure.subplots(3, 3)
    limits = {name: _limits(numbers) for name, numbers in values.items()}
    colours = np.where(members["ultra_low"], "ultra_low", "bulk")
    for row, (vertical, y) in enumerate(values.items()):
        for column, (horizontal, x) in enumerate(values.items()):
            axes: Axes = panels[row, column]
            axes.set_xlim(limits[horizontal])
            axes.xaxis.set_major_locator(MaxNLocator(3))
            if row == column:
                highest = stack(axes, x, members, np.linspace(*limits[horizontal], bins(x.size) // 2 + 1))
                axes.set_ylim(0, 1.06 * max(1.0, highest))
                axes.set_ylabel("features per bin")
                theme.number_in_thousands(axes.yaxis)
            else:
                axes.set_ylim(limits[vertical])
                inside = _within(x, limits[horizontal]) & _within(y, limits[vertical])
                theme.scatter(axes, x[inside], y[inside], list(colours[inside]))
                axes.set_ylabel(vertical if column == 0 or (row, column) == (0, 1) else "")
            axes.set_xlabel(horizontal if row == 2 else "")
    outside = ~np.all([_within(numbers, limits[name]) for name, numbers in values.items()], axis=0)
    theme.frame(
        figure,
        geometry,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend(members, analysis),
        notes=[
            f"{theme.several(int(active.sum()), 'feature')}. Left out: "
            f"{theme.counted(int((~active).sum()), active.size)} never active, which have no logarithm; outside of the "
            f"axes: {int(outside.sum()):,}. Diagonal: histograms. "
            "A product near 1 with a decoder row of norm 1 means that the feature reads what it writes."
        ],
    )
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    margin = 0.06 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def _within(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.asarray((values >= limits[0]) & (values <= limits[1]))
