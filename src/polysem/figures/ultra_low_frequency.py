"""S2.F3: the cluster of features that are hardly ever active."""

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures import theme
from polysem.figures.frequency_axis import draw_frequencies
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F3"
TABLES = ("frequency",)
TITLE = "Ultra-low-frequency features"


@theme.styled
def draw(frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of log10 frequency with the ultra-low cluster coloured and its share of all features in words.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    figure = theme.sheet()
    draw_frequencies(figure, frequency, analysis.ultra_low_frequency, "ultra_low", "bulk")
    values, tokens = frequency["frequency"].to_numpy(), frequency.attrs["tokens"]
    below = int((values < analysis.ultra_low_frequency).sum())
    low = below - int((values == 0).sum())
    threshold = theme.scientific(analysis.ultra_low_frequency)
    if below:
        share = (
            f"{theme.counted(below, values.size)} of {values.size:,} features lie below {threshold}, "
            "the never-active ones included."
        )
    else:
        share = f"No ultra-low cluster: all {values.size:,} features reach {threshold}."
    theme.frame(
        figure,
        frequency,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("ultra_low", f"ultra-low, active on < {threshold}: {theme.counted(low, values.size)}"),
            theme.swatch("bulk", f"other: {theme.counted(values.size - below, values.size)}"),
        ],
        notes=[
            share,
            f"{tokens:,} eval tokens resolve no frequency below one token, {theme.scientific(1 / tokens)}; "
            "near it, whole counts leave gaps.",
        ],
    )
    return figure
