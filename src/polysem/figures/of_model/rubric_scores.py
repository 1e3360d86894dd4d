"""S1.F10: what people gave features and neurons who were not told which is which."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F10"
READS = ("rubric",)
PARAMS = ()
TITLE = "Features and neurons scored by people"
CAPTION = """\
People looked at examples from all intervals of an item's activation and at the tokens that it makes likelier, wrote
down what they take it to be, and scored that explanation; they were not told whether the item is a feature or a neuron,
and the order was random. Above: the total of each item, the mean over the people who scored it; a bar at the median
over items, with its 95 % bootstrap interval. Below: means over items of the points of each criterion, with 95 %
bootstrap intervals. Source: document S1; the rubric: Bricken et al. (2023), human analysis, where the median feature
got 12 of 14 points and the median neuron 0.
"""
ROW = 0.62
"""Inches: the totals of features, or of neurons."""
PANEL = 1.35
"""Inches: the criteria."""
STEP, HIGHEST = 0.11, 0.5
"""By how much equal totals stand above each other, and by how much all of them, where a row is 1 high."""
CRITERIA = {
    "confidence": "confidence",
    "activation_consistency": "fits the examples",
    "logit_consistency": "fits likelier tokens",
    "specificity": "specificity",
}
COLOURS = {"features": "real", "neurons": "bulk"}


@theme.styled
def draw(rubric: xr.Dataset, analysis: Analysis) -> Figure:
    """Totals above, a row for features and one for neurons; below a panel for each criterion."""
    if reason := rubric.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    if "rater" not in rubric:
        raise NotApplicable("nobody has scored the rubric sheet of the model yet; its page in the report says how")
    figure = theme.sheet(2.0 + 2 * ROW + PANEL)
    grid = figure.add_gridspec(2, len(CRITERIA), height_ratios=[2 * ROW, PANEL])
    _totals(figure.add_subplot(grid[0, :]), rubric)
    for place, (criterion, words) in enumerate(CRITERIA.items()):
        axes = figure.add_subplot(grid[1, place])
        _criterion(axes, rubric.sel(criterion=criterion))
        axes.set_title(words, loc="left", size=8.5)
        axes.set_yticks([0, 1], list(COLOURS) if not place else ["", ""])
    theme.frame(figure, rubric, title=TITLE, catalogue=CATALOGUE, notes=_notes(rubric))
    return figure


def _totals(axes: Axes, rubric: xr.Dataset) -> None:
    kinds, totals = rubric["kind"].to_numpy().astype(str), rubric["item_total"].to_numpy()
    for row, (group, colour) in enumerate(COLOURS.items()):
        mine = totals[np.isfinite(totals) & (kinds == group.removesuffix("s"))].tolist()
        above = [mine[:place].count(value) for place, value in enumerate(mine)]
        step = min(STEP, HIGHEST / max([1, *above]))
        heights = [row + 0.08 - step * count for count in above]
        if mine:  # where nothing is, the layout has nothing to measure
            axes.plot(mine, heights, "o", markersize=5, color=theme.COLOURS[colour], alpha=0.75, mew=0, clip_on=False)
        middle, low, high = rubric["median_total"].sel(group=group).to_numpy()
        if np.isfinite(middle):
            axes.plot(
                [middle, middle], [row + 0.2, row + 0.42], color=theme.INK, linewidth=2.2, clip_on=False, zorder=4
            )
        if np.isfinite(low):
            axes.hlines(row + 0.31, low, high, color=theme.INK, linewidth=1.1, zorder=4)
    axes.set(xlim=(-0.2, rubric.attrs["most_points"] + 0.2), ylim=(1.55, -0.5), xlabel="points in all")
    axes.set_yticks([0, 1], list(COLOURS))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)


def _criterion(axes: Axes, of: xr.Dataset) -> None:
    for row, (group, colour) in enumerate(COLOURS.items()):
        middle, low, high = of["mean_score"].sel(group=group).to_numpy()
        if np.isfinite(middle):
            axes.plot([middle], [row], "o", markersize=5, color=theme.COLOURS[colour], clip_on=False, zorder=3)
        if np.isfinite(low):
            axes.hlines(row, low, high, color=theme.COLOURS[colour], linewidth=1.5, zorder=2)
    axes.set(xlim=(0, float(of["most"])), ylim=(1.6, -0.6), xlabel="points")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)


def _notes(rubric: xr.Dataset) -> list[str]:
    raters = rubric.sizes["rater"]
    kinds = rubric["kind"].to_numpy().astype(str).tolist()
    counts = [
        f"{int(rubric['rated_items'].sel(group=group))} of {kinds.count(group.removesuffix('s'))} {group}"
        for group in COLOURS
    ]
    mean, low, high = rubric["mean_difference"].to_numpy()
    notes = [f"{theme.several(raters, 'rater')} scored {' and '.join(counts)} of the sheet."]
    if np.isfinite(mean):
        within = f" ({low:.1f} to {high:.1f})" if np.isfinite(low) else ""
        notes.append(f"Mean total of features less that of neurons: {mean:.1f} points{within}.")
    alpha, low, high = rubric["total_agreement"].to_numpy()
    if np.isfinite(alpha):
        within = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
        notes.append(f"Agreement about totals, Krippendorff's alpha: {alpha:.2f}{within}.")
    elif raters == 1:
        notes.append("One person alone: nothing tells how far others would agree.")
    return notes
