"""S1.X1: what SAEs make of known features that imply others."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polysem.figures.parts import theme
from polysem.params.analysis import Analysis

CATALOGUE = "S1.X1"
READS = ("known",)
PARAMS = ()
TITLE = "Absorption and hedging"
CAPTION = """\
Known features that imply others: where a child is active, so is its parent. *Absorption*: the parent's latent is silent
on rows with a child, because the child's latent is active and carries the parent's direction. *Hedging*: the parent's
latent mixes in its children, where the dictionary has no room for all, or where the first features of a Matryoshka SAE
have to do without the others. The latent of a known feature is the one whose decoder row is nearest to it. A dot per
parent, a line at their mean. Sources: document S1 (toy models with known features); Chanin et al. 2024, *A is for
Absorption*; Chanin, Dulka & Garriga-Alonso 2025, *Feature Hedging*.
"""
ROW = 0.3
PANELS = {
    "absorption": "absorption\n(share of rows\nwith a child)",
    "silent_alone": "parent silent\n(share of rows\nwithout a child)",
    "parent_in_children": "parent in the\nchildren's latents\n(share of child)",
    "hedging": "hedging: children\nin parent's latent\n(share of parent)",
}
"""Variables over `parent`, and what their axes say."""
SPREAD = 0.16
"""Rows' height over which the parents of an SAE are spread, so that equal ones can be seen."""


@theme.styled
def draw(known: xr.Dataset, analysis: Analysis) -> Figure:
    """A dot per parent and a line at their mean, a row per SAE, in four panels; SAEs of one recipe have one colour.

    Sources: Chanin et al. 2024, *A is for Absorption*; Chanin, Dulka & Garriga-Alonso 2025, *Feature Hedging*.
    """
    names = [str(name) for name in known["dictionary"].to_numpy()]
    figure = theme.sheet(2.5 + ROW * len(names))
    every = figure.subplots(1, len(PANELS), sharey=True)
    recipe_of = [str(recipe) for recipe in known["family"].to_numpy()]
    recipes = list(dict.fromkeys(recipe_of))
    colours = [theme.FAMILIES[recipes.index(recipe) % len(theme.FAMILIES)] for recipe in recipe_of]
    undefined = 0
    for axes, (variable, label) in zip(every, PANELS.items(), strict=True):
        values, means = known[variable].transpose("dictionary", "parent"), known[f"mean_{variable}"]
        undefined += _draw(axes, values.to_numpy(), means.to_numpy(), colours)
        axes.set_xlabel(label)
    chance = float(known.attrs["child_chance"])
    every[-1].axvline(chance, color=theme.FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    every[2].axvline(1.0, color=theme.FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    first: Axes = every[0]
    first.set(ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)))
    l0, explained = (known[name].to_numpy() for name in ("L0", "explained_variance"))
    first.set_yticklabels(
        [f"{name}\nL0 {one:.1f}, {100 * share:.0f} %" for name, one, share in zip(names, l0, explained, strict=True)],
        parse_math=False,
        size=7.5,
    )
    parents = known.sizes["parent"]
    notes = [
        f"Dots: the {parents} parents; lines: their means. Under each SAE its L0 and explained variance; "
        f"{float(known['L0_known'].to_numpy()[0]):.1f} known features are active per row.",
        "Dashed: a child's latent that says parent and child alike (1), and what least squares puts into a parent's "
        f"latent that stands for its children, too ({chance:g}, the share of its rows with a child).",
    ]
    if undefined:
        notes.append(f"{theme.several(undefined, 'number')} without a meaning (no child has a latent) are left out.")
    table = known.assign_attrs(site="known features", dictionary="all SAEs")
    theme.frame(figure, table, title=TITLE, catalogue=CATALOGUE, notes=notes)
    return figure


def _draw(axes: Axes, values: np.ndarray, means: np.ndarray, colours: list[str]) -> int:
    """Dots and means of one panel; how many values are none."""
    across = np.linspace(-SPREAD, SPREAD, values.shape[1])
    for place, (row, mean, colour) in enumerate(zip(values, means, colours, strict=True)):
        there = np.isfinite(row)
        axes.plot(row[there], place + across[there], "o", color=colour, markersize=3.2, alpha=0.6, clip_on=False)
        if there.any():
            axes.plot([mean, mean], [place - 0.33, place + 0.33], color=colour, linewidth=2.0, zorder=4)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    low, high = axes.get_xlim()
    axes.set_xlim(min(0.0, low), max(1.0, high))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 5, 10]))
    return int((~np.isfinite(values)).sum())
