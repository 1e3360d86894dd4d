"""S2.F3: the cluster of features that are hardly ever active."""

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_axis import draw_frequencies
from polysem.figures.parts.frequency_groups import groups, threshold_in_words
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F3"
READS = ("frequency",)
PARAMS = ("ultra_low_frequency",)
TITLE = "Ultra-low-frequency features"
CAPTION = """\
Frequency of the features on a log axis, with the ultra-low cluster, below ``analysis.ultra_low_frequency``, in a
colour of its own and never-active features apart; they are none of the cluster. The note says how many firings the
threshold is: near one, no feature can be told from one that is never active. Source: document S2, section "Ultra Low
Frequency Features Are All The Same Feature".
"""


@theme.styled
def draw(frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of log10 frequency with the ultra-low cluster coloured and its share of all features in words.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    figure = theme.sheet()
    draw_frequencies(figure, frequency, analysis.ultra_low_frequency, "ultra_low", "bulk")
    values, tokens = frequency["frequency"].to_numpy(), frequency.attrs["tokens"]
    low, never = (int(groups(frequency, analysis)[name].sum()) for name in ("ultra_low", "never"))
    threshold = theme.scientific(analysis.ultra_low_frequency)
    if low:
        share = f"{theme.counted(low, values.size)} of {values.size:,} features lie below {threshold}"
    else:
        share = f"No ultra-low cluster: of {values.size:,} features none that is ever active lies below {threshold}"
    share += f"; {theme.counted(never, values.size)} are never active and counted apart."
    theme.frame(
        figure,
        frequency,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("ultra_low", f"ultra-low, active on < {threshold}: {theme.counted(low, values.size)}"),
            theme.swatch("bulk", f"other: {theme.counted(values.size - low - never, values.size)}"),
        ],
        notes=[
            share,
            threshold_in_words(frequency, analysis),
            f"{tokens:,} eval tokens resolve no frequency below one token, {theme.scientific(1 / tokens)}; "
            "near it, whole counts leave gaps.",
        ],
    )
    return figure
