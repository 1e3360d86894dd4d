"""S1.F4: whose effects are cleaner, those of features or those of neurons, and do logit weights tell them?"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polysem.figures.parts import theme
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.F4"
READS = ("ablation",)
PARAMS = ()
TITLE = "Effects of features against those of neurons"
CAPTION = """\
What ablations of the features of a dictionary, and of the neurons, are like: medians over features with 95 % bootstrap
intervals. From left to right: KL divergence over that of random directions of the same length at the same tokens; share
of features with a larger one than 95 % of these; rank correlation, over the tokens of the vocabulary, of the change of
the prediction and of what the logit weights say; share of the squared change that lies along the logit weights; share
of the absolute change on a few tokens; and how alike the changes at the feature's tokens are (1: always the same). To
the right is cleaner. Source: document S1, "Feature ablations", and the question whether features are more than neurons.
"""
ROW = 0.21
"""Inches of a line."""
MOST = 30
"""Dictionaries that are drawn, the first ones."""
LONGEST = 22
"""Characters of a name."""
PANELS = {
    "median_random_ratio": "KL over that\nof random",
    "above_random_share": "above 95 %\nof random",
    "median_weight_correlation": "correlation\nwith weights",
    "median_direct_share": "share along\nweights",
    "median_concentration": "share on\nlargest {}",
    "median_consistency": "alike at\nall tokens",
}
LIMITS = {
    "above_random_share": (-0.03, 1.03),
    "median_weight_correlation": (-1.05, 1.05),
    "median_direct_share": (-0.03, 1.03),
    "median_consistency": (-0.03, 1.03),
}
"""Of what has a least and a largest value."""
CHANCE = {"median_random_ratio": 1.0, "above_random_share": 0.05, "median_weight_correlation": 0.0}
"""What random directions would give."""


@theme.styled
def draw(ablation: xr.Dataset, analysis: Analysis) -> Figure:
    """A line for each dictionary, below the name of its site; a panel for each number."""
    places = np.flatnonzero(ablation["measured_features"].to_numpy() > 0).tolist()
    if not places:
        raise NotApplicable("no feature of the model was ablated: none is active on a token with another behind it")
    shown = places[:MOST]
    sites, names = (ablation[name].to_numpy().astype(str) for name in ("site", "dictionary"))
    heights, labels = [], []
    at = 0.0
    for number, place in enumerate(shown):
        if not number or sites[place] != sites[shown[number - 1]]:
            labels.append((at, sites[place], theme.FAINT))
            at += 1
        heights.append(at)
        name = visible(names[place])
        labels.append((at, name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…", theme.INK))
        at += 1
    figure = theme.sheet(1.9 + ROW * at)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (variable, title) in zip(panels, PANELS.items(), strict=True):
        for height, place in zip(heights, shown, strict=True):
            _estimate(axes, ablation[variable].to_numpy()[place], height, names[place])
        axes.set_title(title.format(ablation.attrs["concentrated_on"]), loc="left", size=7.5)
        axes.set_ylim(at - 0.4, -0.6)
        axes.grid(visible=False)
        if variable in CHANCE:
            axes.axvline(CHANCE[variable], color=theme.FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        if variable == "median_random_ratio":
            axes.set_xscale("log")
            theme.plain_log_ticks(axes.xaxis, short=1)
        else:
            axes.set_xlim(LIMITS.get(variable, (0, None)))
            axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.tick_params(axis="x", labelsize=7.5)
    panels[0].set_yticks([height for height, *_ in labels], [text for _, text, _ in labels])
    for label, (_, _, colour) in zip(panels[0].get_yticklabels(), labels, strict=True):
        label.set(size=7.5, color=colour, parse_math=False)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
    theme.frame(
        figure,
        ablation,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[theme.dot("real", "features"), theme.dot("bulk", "neurons")],
        notes=_notes(ablation, places),
    )
    return figure


def _estimate(axes: Axes, numbers: np.ndarray, height: float, name: str) -> None:
    middle, low, high = numbers
    colour = theme.COLOURS["bulk" if name == NEURONS else "real"]
    if np.isfinite(middle):
        axes.plot([middle], [height], marker="o", markersize=4.5, color=colour, zorder=3, clip_on=False)
    if np.isfinite(low):
        axes.hlines(height, low, high, color=colour, linewidth=1.3, zorder=2)


def _notes(ablation: xr.Dataset, places: list[int]) -> list[str]:
    notes = [
        "Dashed: what random directions would give. A site without a direct path to the logits has no logit weights."
    ]
    if more := max(0, len(places) - MOST):
        notes.append(f"Not drawn: {theme.several(more, 'dictionary') if more == 1 else f'{more:,} dictionaries'}.")
    return notes
