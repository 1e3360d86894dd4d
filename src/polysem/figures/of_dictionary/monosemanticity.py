"""S0.X3: are features that lie along one neuron, or along the most polysemantic one, harder to interpret?"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.parts.tags import require_tags
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S0.X3"
READS = ("tags", "alignment")
PARAMS = ()
TITLE = "Monosemanticity against alignment with neurons"
CAPTION = """\
Whether features along one neuron are harder to interpret. The score of a feature is the share of its activation mass
on tokens of its main tag, rescaled so that 0 is what the tag's share of all tokens would give; tags that more than
half of all tokens carry are no main tags. Left: score against the power in the strongest neuron, with medians of ten
bins. Right: scores, by quantile, of the features whose strongest neuron is the one that leads most, and of the others.
Blue is where 95 % of shuffled scores lie. Source: document S0, section "Conclusion", the last question.
"""
LEAST = 20
"""Scored features, below which there is nothing to see."""
SCORE = "monosemanticity above base rate"


@theme.styled
def draw(tags: xr.Dataset, alignment: xr.Dataset, analysis: Analysis) -> Figure:
    """Left: each feature's score over its power in the strongest neuron, with medians of bins and what shuffled scores
    would give. Right: scores of the features aligned with the most polysemantic neuron and of the others.

    Source: document S0, section "Conclusion", the last question.
    """
    score = tags["monosemanticity_above_base"].to_numpy()
    known = np.isfinite(score)
    _require(tags, int(known.sum()))
    figure = theme.sheet(4.9)
    left, right = figure.subplots(1, 2, sharey=True)
    theme.scatter(left, alignment["power_top1"].to_numpy()[known], score[known], ["bulk"] * int(known.sum()))
    _draw_bins(left, tags)
    low = max(-0.25, float(score[known].min()))
    left.set(ylim=(low - 0.03, 1.03), ylabel=SCORE)
    theme.plain_log_ticks(left.xaxis)
    left.set_xlabel("share of squared decoder weight\nin the strongest neuron")
    _draw_groups(right, tags)
    legend = [
        theme.dot("bulk", f"features: {int(known.sum()):,}"),
        Line2D([], [], color=theme.INK, marker="o", markersize=4, label="medians and quartiles of bins"),
        theme.swatch("ultra_low", "95 % of shuffles"),
        Line2D([], [], color=theme.COLOURS["aligned"], label=_aligned(tags)),
        Line2D([], [], color=theme.FAINT, label="all others"),
    ]
    notes = [*_notes(tags, known), *theme.whose_neurons(alignment)]
    theme.frame(figure, tags, title=TITLE, catalogue=CATALOGUE, legend=legend, columns=3, notes=notes)
    return figure


def _require(tags: xr.Dataset, scored: int) -> None:
    if tags.attrs["dictionary"] == NEURONS:
        raise NotApplicable("every neuron has all its power in itself; the figure is made for SAEs")
    require_tags(tags)
    if scored < LEAST:
        raise NotApplicable(
            f"only {theme.several(scored, 'feature')} can be scored: active on at least "
            f"{tags.attrs['least_active_tokens']} tokens of each half of the eval tokens, and on tagged ones; more "
            "eval_tokens would give more"
        )


def _draw_bins(axes: Axes, tags: xr.Dataset) -> None:
    power, middle = tags["power_bin_power"].to_numpy(), tags["power_bin_score"].to_numpy()
    low, high = (tags[f"power_bin_shuffled_{end}"].to_numpy() for end in ("low", "high"))
    axes.fill_between(power, low, high, color=theme.COLOURS["ultra_low"], alpha=0.6, linewidth=0, zorder=4)
    spread = [middle - tags["power_bin_score_low"].to_numpy(), tags["power_bin_score_high"].to_numpy() - middle]
    axes.errorbar(power, middle, spread, color=theme.INK, marker="o", markersize=4, linewidth=1.2, capsize=2, zorder=5)
    axes.set(xscale="log")
    axes.grid(True, axis="both")


def _draw_groups(axes: Axes, tags: xr.Dataset) -> None:
    if not np.isfinite(float(tags["aligned_above_other"])):
        theme.message(axes, "no neuron is the strongest\nof two scored features")
        return
    share = 100 * tags["quantile"].to_numpy()
    low, high = (tags[f"shuffled_score_{end}"].to_numpy() for end in ("low", "high"))
    axes.fill_between(share, low, high, color=theme.COLOURS["ultra_low"], alpha=0.6, linewidth=0)
    axes.plot(share, tags["other_score"].to_numpy(), color=theme.FAINT, linewidth=1.2)
    axes.plot(share, tags["aligned_score"].to_numpy(), color=theme.COLOURS["aligned"], linewidth=1.8)
    axes.set(xlim=(0, 100))
    axes.set_xlabel("% of features of the group\nwith a lower score")
    axes.grid(True, axis="both")


def _aligned(tags: xr.Dataset) -> str:
    neuron = int(tags["aligned_neuron"])
    if neuron < 0:
        return "no neuron leads"
    return f"strongest neuron {neuron}: {int(tags['aligned_features']):,}"


def _notes(tags: xr.Dataset, known: np.ndarray) -> list[str]:
    words = [
        "Score: share of a feature's activation mass in its main tag, where 0 is the share of all tokens that carry it "
        f"and 1 is all; the main tag is chosen on half of the sequences, the score taken on the other. Left out: "
        f"{theme.counted(int((~known).sum()), known.size)} active on fewer than {tags.attrs['least_active_tokens']} "
        "tokens of a half, or on no tagged ones.",
        f"Left: Spearman correlation {_tested(tags, 'score_power_correlation')}.",
    ]
    if np.isfinite(float(tags["aligned_above_other"])):
        words.append(
            f"Right: medians {float(tags['aligned_median_score']):.3f} (aligned) and "
            f"{float(tags['other_median_score']):.3f}; probability that an aligned feature scores higher than another "
            f"{_tested(tags, 'aligned_above_other')}."
        )
    if below := int((tags["monosemanticity_above_base"].to_numpy()[known] < -0.28).sum()):
        words.append(f"Below the axis: {theme.several(below, 'feature')}.")
    return words


def _tested(tags: xr.Dataset, name: str) -> str:
    value = float(tags[name])
    if not np.isfinite(value):
        return "undefined"
    low, high, p = (float(tags[f"{name}_{part}"]) for part in ("shuffled_low", "shuffled_high", "p"))
    return f"{value:.2f} (95 % of shuffles {low:.2f} to {high:.2f}; p = {p:.2g})"
