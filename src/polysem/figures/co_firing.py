"""S2.F6: how many ultra-low features are active on the same token."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from polysem.figures import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S2.F6"
TABLES = ("ultra_low",)
TITLE = "Ultra-low features active together"
BINS = 80
LOG_FLOOR = 0.5
"""Where bars on the log axis start, so that a single token is seen."""


@theme.styled
def draw(ultra_low: xr.Dataset, analysis: Analysis) -> Figure:
    """Histogram over tokens of the number of ultra-low features active; independent features as the baseline.

    Source: document S2, section "Ultra Low Frequency Features Are All The Same Feature".
    """
    cluster = int(ultra_low["ultra_low_features"])
    if not cluster:
        raise NotApplicable(
            f"no feature is active on less than {theme.scientific(analysis.ultra_low_frequency)} of the tokens; another "
            "recipe, more training or a larger analysis.ultra_low_frequency may show an ultra-low cluster"
        )
    if not int(ultra_low["ultra_low_firing"]):
        raise NotApplicable(
            f"none of the {theme.several(cluster, 'ultra-low feature')} is active on any eval token; more eval tokens "
            "(activations.eval_tokens) may show one"
        )
    figure = theme.sheet()
    axes = figure.subplots()
    tokens = ultra_low["ultra_low_active"].to_numpy()
    firing, most = int(ultra_low["ultra_low_firing"]), int(ultra_low["co_firing_largest"])
    width = -(-(most + 1) // BINS)
    edges = np.arange(0, most + 1 + width, width) - 0.5
    padded = np.pad(tokens, (0, (len(edges) - 1) * width - tokens.size))
    counts = padded.reshape(-1, width).sum(1)
    axes.stairs(counts, edges, fill=True, baseline=LOG_FLOOR, color=theme.COLOURS["ultra_low"])
    axes.set(yscale="log", ylim=(LOG_FLOOR, 2.5 * counts.max()), xlim=(-0.5 - 0.02 * most, max(edges[-1], 5)))
    axes.set_xlabel("ultra-low features active on the token")
    axes.set_ylabel("tokens" + (f" per bin of {width}" if width > 1 else "") + " (log scale)")
    theme.number_in_thousands(axes.xaxis)
    expected = independent(tokens)
    drawn = np.pad(expected, (0, max(0, padded.size - expected.size)))[: padded.size].reshape(-1, width).sum(1)
    axes.stairs(np.maximum(drawn, LOG_FLOOR), edges, baseline=LOG_FLOOR, color=theme.COLOURS["random"], linewidth=1.3)
    some = int(tokens[1:].sum())
    theme.frame(
        figure,
        ultra_low,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            theme.swatch("ultra_low", f"tokens, {int(tokens.sum()):,} in all"),
            theme.swatch("random", "the same activations on tokens drawn at random (Poisson)"),
        ],
        notes=[
            f"{firing:,} of {theme.several(cluster, 'ultra-low feature')} are ever active, on {some:,} tokens. "
            f"At most {theme.counted(most, firing)} of these are active on one token. Document: 95 %."
        ],
    )
    return figure


def independent(tokens: np.ndarray) -> np.ndarray:
    """Tokens by number of active features, were each activation on a token of its own choice: a Poisson law with the
    same mean."""
    mean = float((np.arange(tokens.size) * tokens).sum() / tokens.sum())
    terms = np.cumprod(np.r_[np.exp(-mean), mean / np.arange(1, max(tokens.size, 2))])
    return np.asarray(tokens.sum() * terms)
