"""S1.F8: features of a small dictionary and their descendants, as a tree."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.cluster import hierarchy

from polysem.figures.parts import theme
from polysem.figures.parts.sizes import MARKERS, SHADES, require_sizes
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F8"
READS = ("site/comparison",)
PARAMS = ()
TITLE = "Families of features"
CAPTION = """\
The features of the smallest dictionary with most children, and their descendants in the larger ones, as a cluster tree
(average linkage of the cosine distance of decoder rows). Beside each: its number, the token that is most common among
the 20 on which it is most active, and that token's share of them. Source: document S1, "Feature splitting".
"""
ROW = 0.165
"""Inches per leaf."""


@theme.styled
def draw(site_comparison: xr.Dataset, analysis: Analysis) -> Figure:
    """Average linkage of the features with most children and of their descendants; each leaf with its top token.

    Source: document S1, "Feature splitting".
    """
    require_sizes(site_comparison)
    merges = site_comparison["merge"].to_numpy()
    if not len(merges):
        raise NotApplicable(
            "no feature of the smallest dictionary has two children; a larger expansion, more training, or a lower "
            "analysis.split_cosine may show some"
        )
    sizes, features = site_comparison["leaf_size"].to_numpy(), site_comparison["leaf_feature"].to_numpy()
    figure = theme.sheet(2.1 + ROW * len(sizes))
    axes = figure.subplots()
    found = hierarchy.dendrogram(merges, no_plot=True)
    for across, along in zip(found["dcoord"], found["icoord"], strict=True):
        axes.plot(across, (np.array(along) - 5) / 10, color=theme.FAINT, linewidth=0.9, zorder=2)
    tokens, shares = site_comparison["leaf_token"].to_numpy(), site_comparison["leaf_coherence"].to_numpy()
    names = []
    for place, leaf in enumerate(found["leaves"]):
        number = int(sizes[leaf])
        axes.plot(
            0,
            place,
            MARKERS[number % len(MARKERS)],
            color=SHADES[number % len(SHADES)],
            markersize=5.5,
            clip_on=False,
            zorder=4,
        )
        said = f"{visible(str(tokens[leaf]))}  {100 * shares[leaf]:.0f} %" if np.isfinite(shares[leaf]) else "rare"
        names.append(f"{features[leaf]}   {said}")
    axes.set(xlim=(float(merges[:, 2].max()) * 1.04, 0), ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)))
    axes.yaxis.tick_right()
    axes.set_yticklabels(names, parse_math=False, size=8)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("cosine distance of the decoder rows (average linkage)")
    every = site_comparison["size_dictionary"].to_numpy()
    legend = [
        Line2D([], [], marker=MARKERS[n % 4], linestyle="", color=SHADES[n % 4], markersize=6, label=str(name))
        for n, name in enumerate(every)
    ]
    theme.frame(
        figure,
        site_comparison,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=legend,
        notes=[
            f"The {int((sizes == 0).sum())} features of {every[0]} with most children, and of each larger dictionary "
            "at most 6 descendants of each. Beside each feature: the token that is most common among the 20 tokens on "
            "which it is most active, and its share of them. rare: active on fewer than 20 tokens of the sample."
        ],
    )
    return figure


def visible(token: str) -> str:
    """A token with its blanks as ␣ and everything that has no glyph as □."""
    drawn = "".join(_glyph(character) for character in token)
    return f"‘{drawn}’"


def _glyph(character: str) -> str:
    if character == " ":
        return "␣"
    if character == "\n":
        return "↵"
    return character if character.isprintable() and ord(character) < 0x2000 else "□"
