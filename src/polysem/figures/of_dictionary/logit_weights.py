"""S1.F3: which tokens a feature makes more and less likely."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of, noun
from polysem.figures.parts.token_words import shown
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F3"
READS = ("logits", "frequency", "labels")
PARAMS = ()
TITLE = "Logit weights"
CAPTION = """\
What the direction of a feature adds to the logit of each token on the direct path, through ``W_out``, the final norm
and the unembedding, for a few features: the distribution over the vocabulary, with the tokens of the feature's context
(where the corpus has tags) coloured, and the tokens at both ends. Source: document S1, "Feature downstream effects".
"""
BINS = 60
WORDS = 6
"""Tokens named at each end."""
LOG_FLOOR = 0.5


@theme.styled
def draw(logits: xr.Dataset, frequency: xr.Dataset, analysis: Analysis) -> Figure:
    """Histograms of the logit weights of some features over the tokens, their context coloured, the ends in words.

    Source: document S1, "Feature downstream effects".
    """
    if reason := logits.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    if not logits.sizes.get("showcase"):
        raise NotApplicable("no feature was chosen to be shown, because none is active on any eval token")
    chosen = logits["showcase"].to_numpy()
    figure = theme.sheet(1.9 + 1.15 * chosen.size)
    panels = figure.subplots(chosen.size, 2, width_ratios=[5, 4], squeeze=False)
    any_context = False
    for place, (histogram, words) in enumerate(panels):
        one = logits.isel(showcase=place)
        context = one["in_context"].to_numpy().astype(bool) if "in_context" in one else None
        any_context |= context is not None and bool(context.any())
        _draw_histogram(histogram, one["logit_weight"].to_numpy(), context)
        active = float(frequency["frequency"][chosen[place]])
        name = str(one["context"].item()) if "context" in one else ""
        histogram.set_title(
            f"{name_of(logits, int(chosen[place]))}, active on {theme.scientific(100 * active)} % of tokens"
            + (f"; {name}" if name else ""),
            size=8.5,
            loc="left",
            parse_math=False,
        )
        _draw_words(words, one)
    panels[-1, 0].set_xlabel("logit weight of the token")
    legend = [theme.swatch("bulk", "tokens of the vocabulary")]
    if any_context:
        legend.append(theme.swatch("real", f"tokens of the {noun(logits)}'s context"))
    theme.frame(
        figure,
        logits,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        notes=[
            f"Logit weight: decoder row through W_out and the unembedding, {logits.attrs['tokens_of_vocabulary']:,} "
            f"tokens. Model processing: {logits.attrs['processing']}; {logits.attrs['final_norm']}.",
            "Context: the tag that the feature knows best; its tokens carry it at least half the times they are seen."
            if any_context
            else "No context is coloured: the corpus has no tags for these features.",
        ],
    )
    return figure


def _draw_histogram(axes: Axes, weights: np.ndarray, context: np.ndarray | None) -> None:
    margin = 0.02 * np.ptp(weights) or 0.5
    edges = np.linspace(weights.min() - margin, weights.max() + margin, BINS + 1)
    counts, _ = np.histogram(weights, edges)
    axes.stairs(counts, edges, fill=True, baseline=LOG_FLOOR, color=theme.COLOURS["bulk"])
    if context is not None and context.any():
        inside, _ = np.histogram(weights[context], edges)
        axes.stairs(np.maximum(inside, LOG_FLOOR), edges, fill=True, baseline=LOG_FLOOR, color=theme.COLOURS["real"])
    axes.set(yscale="log", ylim=(LOG_FLOOR, 2 * counts.max()), xlim=(edges[0], edges[-1]))
    axes.set_ylabel("tokens")


def _draw_words(axes: Axes, one: xr.Dataset) -> None:
    """The ends of the distribution in two columns, strongest first."""
    axes.axis("off")
    feature = int(one["showcase"])
    for x, heading, texts, values in (
        (0.0, "most raised", "boosted_text", "boost"),
        (0.54, "most lowered", "suppressed_text", "suppression"),
    ):
        axes.text(x, 1.02, heading, transform=axes.transAxes, size=8, color=theme.FAINT, va="bottom")
        weights = one[values].sel(feature=feature).to_numpy()
        for line, (text, weight) in enumerate(zip(one[texts].to_numpy()[:WORDS], weights[:WORDS], strict=True)):
            height = 0.97 - line / WORDS
            style: Any = {"transform": axes.transAxes, "size": 7.5, "va": "top", "parse_math": False}
            axes.text(x + 0.15, height, f"{weight:+.3g}", color=theme.FAINT, ha="right", **style)
            axes.text(x + 0.18, height, shown(str(text)), **style)
