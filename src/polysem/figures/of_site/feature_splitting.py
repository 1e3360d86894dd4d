"""S1.F8: features of a small dictionary that a larger one splits."""

from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import relations, theme
from polysem.figures.parts.sizes import require_sizes
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F8"
READS = ("site/comparison",)
PARAMS = ()
TITLE = "Feature splitting"
CAPTION = """\
Dictionaries of several sizes at one site. Left: for each level, the share of the larger dictionary's features whose
decoder row has at least that cosine with its nearest row of the next smaller one; grey: after permuting the weights of
each row. Right: features of the smaller one by number of children, a child being a feature of the larger one that is
nearest to it with a cosine of at least ``analysis.split_cosine``. SAEs with one seed start from the same first rows,
which favours features of the same number. Source: document S1, "Feature splitting".
"""
CHILDREN = ("no child", "1", "2", "3 or more")
SHADES = ("#D9DCE0", "#9CC3E6", "#3B86C4", "#0B3C6F")


@theme.styled
def draw(site_comparison: xr.Dataset, analysis: Analysis) -> Figure:
    """Left: how near each feature of a larger dictionary is to its parent in the smaller. Right: how many children.

    Source: document S1, "Feature splitting".
    """
    require_sizes(site_comparison)
    figure = theme.sheet(4.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    features = site_comparison["size_features"].to_numpy()
    level = site_comparison["child_level"].to_numpy()
    threshold = float(site_comparison.attrs["split_cosine"])
    legend = []
    for number in range(len(features) - 1):
        colour = theme.FAMILIES[number]
        cosine = site_comparison["child_cosine"].to_numpy()[level == number]
        relations.survival(left, cosine, color=colour, linewidth=1.6)
        entry = relations.line("seed", 1)
        entry.set_color(colour)
        entry.set_label(f"{features[number]:,} → {features[number + 1]:,} features")
        legend.append(entry)
    relations.survival(left, site_comparison["child_cosine_random"].to_numpy(), **relations.BASELINE)
    left.axvline(threshold, color=theme.INK, linewidth=0.9, linestyle=(0, (4, 3)))
    left.set(xlim=(0, 1), ylim=(0, 103))
    left.set_xlabel("cosine with the smaller one's nearest row")
    left.set_ylabel("% of its features that reach it")
    _draw_children(right, site_comparison, features)
    theme.frame(
        figure,
        site_comparison,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[*legend, relations.baseline("weights of each row permuted")],
        notes=[_note(site_comparison, threshold)],
    )
    return figure


def _draw_children(axes: Axes, comparison: xr.Dataset, features: np.ndarray) -> None:
    counts = comparison["features_by_children"].to_numpy()
    places = np.arange(len(features) - 1)[::-1]
    for number, place in enumerate(places):
        shares = 100 * counts[number] / features[number]
        start = 0.0
        for share, shade, kind in zip(shares, SHADES, CHILDREN, strict=True):
            axes.barh(place, share, left=start, height=0.55, color=shade, label=kind if not number else None)
            if share > 7:
                ink = "white" if shade in SHADES[2:] else theme.INK
                axes.text(start + share / 2, place, f"{share:.0f}", ha="center", va="center", size=8.5, color=ink)
            start += share
    axes.set(xlim=(0, 100), ylim=(-0.5, len(places) - 0.5), yticks=places)
    axes.set_yticklabels([f"{small:,}\n→ {large:,}" for small, large in pairwise(features)])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.01), columnspacing=1.2, handlelength=1, fontsize=8.5)
    axes.set_xlabel("% of the smaller one's features")


def _note(comparison: xr.Dataset, threshold: float) -> str:
    names = comparison["size_dictionary"].to_numpy()
    shares = ", ".join(f"{100 * share:.0f} %" for share in comparison["split_share"].to_numpy())
    new = ", ".join(f"{100 * share:.0f} %" for share in comparison["new_share"].to_numpy())
    random = ", ".join(f"{100 * share:.2g} %" for share in comparison["random_share"].to_numpy())
    return (
        f"{', '.join(map(str, names))}. A feature of a larger dictionary descends from the nearest one of the next "
        f"smaller, if the cosine of their decoder rows is at least {threshold:g} (dashed; after permuting: {random}). "
        f"Split into several: {shares}. Of the larger one's features, without a parent: {new}."
    )
