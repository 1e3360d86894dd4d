"""S2.F6: how many ultra-low features are active on the same token."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F6"
READS = ("ultra_low",)
PARAMS = ("ultra_low_frequency",)
TITLE = "Ultra-low features active together"
CAPTION = """\
On how many eval tokens at least so many ultra-low features are active together, on logarithmic axes; the dashed line
stands for all of them, which are active on a token at least. The outline is what the same number of activations would
give if each feature chose its tokens for itself. Source: document S2, section "Ultra Low Frequency Features Are All
The Same Feature".
"""
LOG_FLOOR = 0.5
"""Where the log axis starts, so that a single token is seen."""


@theme.styled
def draw(ultra_low: xr.Dataset, analysis: Analysis) -> Figure:
    """Tokens by the least number of ultra-low features that are active on them; independent features as the baseline.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    cluster = int(ultra_low["ultra_low_features"])
    if not cluster:
        raise NotApplicable(
            "no feature that is ever active is so on less than "
            f"{theme.scientific(analysis.ultra_low_frequency)} of the tokens; another recipe, more "
            "training or a larger analysis.ultra_low_frequency may show an ultra-low cluster"
        )
    figure = theme.sheet()
    axes = figure.subplots()
    at_least = ultra_low["ultra_low_active_at_least"].to_numpy()
    independent = ultra_low["ultra_low_active_at_least_independent"].to_numpy()
    most = int(ultra_low["co_firing_largest"])
    highest = 1.0
    for tokens, colour in ((at_least[1:], "ultra_low"), (independent[1:], "random")):
        highest = max(highest, float(tokens[0]))
        style: Any = (
            {"fill": True, "baseline": LOG_FLOOR} if colour == "ultra_low" else {"linewidth": 1.3, "baseline": None}
        )
        edges = np.arange(tokens.size + 1) + 0.5
        axes.stairs(np.maximum(tokens, LOG_FLOOR), edges, color=theme.COLOURS[colour], **style)
    axes.set(xscale="log", yscale="log", xlim=(0.5, 1.3 * max(cluster, 10)), ylim=(LOG_FLOOR, 3 * highest))
    axes.axvline(cluster, color=theme.INK, linewidth=1.1, linestyle="--")
    axes.set_xlabel("ultra-low features active on the token, at least (log scale)")
    axes.set_ylabel("tokens (log scale)")
    theme.frame(
        figure,
        ultra_low,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("ultra_low", f"tokens, {int(at_least[0]):,} in all"),
            Line2D([], [], color=theme.INK, linewidth=1.1, linestyle="--", label="all of them"),
            Line2D([], [], color=theme.COLOURS["random"], linewidth=1.3, label="each on tokens of its own (Poisson)"),
        ],
        notes=[
            f"{theme.several(cluster, 'ultra-low feature')} on {int(at_least[1]):,} tokens, at most "
            f"{theme.counted(most, cluster)} on one; the never active are none of them. The threshold is "
            f"{float(ultra_low['ultra_low_threshold_firings']):.3g} firings. Document: 95 %."
        ],
    )
    return figure
