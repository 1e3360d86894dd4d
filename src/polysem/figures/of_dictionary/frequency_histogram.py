"""S0.F1: how often features are active."""

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_axis import draw_frequencies
from polysem.params.analysis import Analysis

CATALOGUE = "S0.F1"
READS = ("frequency",)
PARAMS = ("rare_frequency",)
TITLE = "Feature frequency"
CAPTION = """\
How often the features of a dictionary are active: a histogram of the logarithm of their frequency, the share of eval
tokens on which a feature is active. Rare and common features are told apart at ``analysis.rare_frequency``; features
that were active on no token at all stand in a bar of their own at the left. Masked positions (BOS, padding) do not
count. Source: document S0, section "Feature frequency".
"""


@theme.styled
def draw(frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of log10 frequency, rare and common features told apart; never-active ones in a bar of their own.

    Source: document S0, section "Feature frequency".
    """
    figure = theme.sheet()
    draw_frequencies(figure, frequency, analysis.rare_frequency, "rare", "common")
    values = frequency["frequency"].to_numpy()
    rare = int(((values > 0) & (values < analysis.rare_frequency)).sum())
    common = int((values >= analysis.rare_frequency).sum())
    threshold = theme.scientific(analysis.rare_frequency)
    theme.frame(
        figure,
        frequency,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("rare", f"rare, active on < {threshold} of tokens: {theme.counted(rare, values.size)}"),
            theme.swatch("common", f"common: {theme.counted(common, values.size)}"),
        ],
        notes=[f"{theme.several(values.size, 'feature')}, {frequency.attrs['tokens']:,} eval tokens."],
    )
    return figure
