"""S2.F4: whether the encoder rows of ultra-low features all point the same way."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.frequency_groups import baseline, bins, groups, legend, stack, threshold_in_words
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F4"
READS = ("ultra_low", "frequency")
PARAMS = ("ultra_low_frequency",)
TITLE = "Ultra-low encoder rows against their mean"
CAPTION = """\
Whether ultra-low-frequency features are all the same feature: the cosine of every encoder row with the mean of the
encoder rows of features rarer than ``analysis.ultra_low_frequency`` but active on a token at least, these in a colour
of their own. The outline shows as many random rows with their own mean, because every row has a share in its mean.
Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
"""


@theme.styled
def draw(ultra_low: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram of the cosine of each encoder row with the mean encoder row of the ultra-low features.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    if reason := ultra_low.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    figure = theme.sheet(4.8)
    axes = figure.subplots()
    cosine, random = ultra_low["mean_cosine"].to_numpy(), ultra_low["mean_cosine_random"].to_numpy()
    members = groups(frequency, analysis)
    cluster = int(ultra_low["ultra_low_features"])
    lowest = min(float(np.nanmin(cosine)), float(random.min()))
    edges = np.linspace(np.floor(10 * lowest) / 10, 1, bins(cosine.size) + 1)
    highest = max(stack(axes, cosine, members, edges), baseline(axes, random, edges, cluster))
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.06 * max(1.0, highest)))
    axes.set_xlabel("cosine of the encoder row with the mean ultra-low encoder row")
    axes.set_ylabel(f"features per bin of {theme.scientific(edges[1] - edges[0])}")
    theme.number_in_thousands(axes.yaxis)
    alike = round(float(ultra_low["ultra_low_cosine_above_095_share"]) * cluster)
    theme.frame(
        figure,
        ultra_low,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend(members, analysis, "as many random rows with their own mean as ultra-low features"),
        columns=1,
        notes=[
            f"Of {theme.several(cluster, 'ultra-low feature')}, the never active left out, "
            f"{theme.counted(alike, cluster)} have a cosine above 0.95; the median is "
            f"{float(ultra_low['ultra_low_cosine_median']):.3f}, that of random rows "
            f"{float(ultra_low['ultra_low_cosine_median_random']):.3f}: every row has a share in its mean.",
            f"{threshold_in_words(frequency, analysis)} Document: 97.5 % above 0.95.",
        ],
    )
    return figure
