"""A tree of examples with each leaf's tokens or images beside it (S3.F2, S3.F3)."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from polysem.figures.parts import shaded_tokens, theme, token_line
from polysem.figures.parts.cluster_tree import Folded, Node, folded_tree
from polysem.figures.parts.shown_feature import ShownFeature, examples_in_words

LEAVES, PICTURE_LEAVES = 24, 12
"""So many that the figure, as wide as the report shows it, is no taller than a screen."""
ROW, PICTURE_ROW = 0.165, 0.33
"""Inches."""
PICTURES = 12
"""Images of a leaf."""
MARGINS = 2.0
"""Inches above and below the tree."""
NUMBERS, COUNTS = 20.0, 20.0
"""Points for the bar with the cluster's number, and for the number of examples of a leaf."""


def cluster_colour(number: int) -> str:
    """The colour of a cluster; from the ninth on all are grey, and told apart by their numbers."""
    return theme.FAMILIES[number] if number < len(theme.FAMILIES) else theme.FAINT


def draw_dendrogram(
    shown: ShownFeature,
    clusters: xr.Dataset,
    *,
    title: str,
    catalogue: str,
    notes: Sequence[str],
    whole: frozenset[int] = frozenset(),
) -> Figure:
    """The tree of a feature's examples, clusters coloured and numbered, the cut drawn, examples at the leaves; those of
    the clusters that are to stay `whole` have a leaf each."""
    cut = float(clusters.attrs["cluster_cut"])
    images = shown.pictures is not None
    tree = folded_tree(shown.linkage, shown.cluster, cut, PICTURE_LEAVES if images else LEAVES, whole)
    leaves = list(tree.root.leaves())
    figure = theme.sheet(MARGINS + (PICTURE_ROW if images else ROW) * max(4, len(leaves)))
    left, right = figure.subplots(1, 2, width_ratios=[2, 5], sharey=True)
    left.set(ylim=(len(leaves) - 0.5, -0.5))
    _draw_tree(left, tree.root, shown, cut)
    theme.frame(
        figure,
        clusters,
        title=title,
        catalogue=catalogue,
        legend=_legend(images, cut),
        columns=3,
        notes=[f"{examples_in_words(shown, clusters)} {_what_is_drawn(shown, tree, images)}", *notes],
    )
    theme.lay_out(figure)
    width = shaded_tokens.prepare(right, len(leaves))
    _number_clusters(right, leaves, shown)
    largest = float(shown.activation.max())
    for row, leaf in enumerate(leaves):
        if len(leaf.members) > 1:
            _write(right, NUMBERS + COUNTS - 4, row, f"×{len(leaf.members)}", "right", theme.FAINT)
        if shown.pictures is not None:
            _draw_pictures(right, row, leaf, shown, width)
        elif shown.texts is not None:
            example = leaf.members[0]
            tokens = token_line.line(shown.texts[example], shown.window[example], shown.offset, largest)
            shaded_tokens.write(right, row, tokens, NUMBERS + COUNTS, width)
    return figure


def _draw_tree(axes: Axes, root: Node, shown: ShownFeature, cut: float) -> None:
    rows = {leaf.members: float(row) for row, leaf in enumerate(root.leaves())}

    def draw(node: Node) -> float:
        if not node.children:
            return rows[node.members]
        places = [draw(child) for child in node.children]
        colour = cluster_colour(int(shown.cluster[node.members[0]])) if node.height <= cut else theme.FAINT
        for place, child in zip(places, node.children, strict=True):
            own = cluster_colour(int(shown.cluster[child.members[0]])) if child.height <= cut else theme.FAINT
            axes.plot([child.height, node.height], [place, place], color=own, linewidth=1.1, zorder=3)
        axes.plot([node.height] * 2, [places[0], places[-1]], color=colour, linewidth=1.1, zorder=3)
        return float(np.mean(places))

    draw(root)
    axes.axvline(cut, color=theme.INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlim=(1.06 * max(root.height, cut), 0), yticks=[])
    axes.set_xlabel("mean cosine distance")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def _number_clusters(axes: Axes, leaves: list[Node], shown: ShownFeature) -> None:
    """A bar along the leaves of each cluster, with its number."""
    numbers = [int(shown.cluster[leaf.members[0]]) for leaf in leaves]
    for number in dict.fromkeys(numbers):
        rows = [row for row, found in enumerate(numbers) if found == number]
        height = len(rows) - 0.16
        axes.add_patch(
            Rectangle((0, rows[0] - height / len(rows) / 2), 4, height, color=cluster_colour(number), linewidth=0)
        )
        _write(axes, 6.5, float(np.mean(rows)), str(number + 1), "left", cluster_colour(number), weight="bold")


def _write(axes: Axes, x: float, row: float, text: str, align: str, colour: str, **style: Any) -> None:
    written = axes.text(
        x, row, text, size=shaded_tokens.SIZE, ha=align, va="center_baseline", color=colour, parse_math=False, **style
    )
    written.set_in_layout(False)


def _draw_pictures(axes: Axes, row: int, leaf: Node, shown: ShownFeature, width: float) -> None:
    """Images of a leaf side by side; heights are 92 % of a row, in the picture's own proportions."""
    assert shown.pictures is not None
    tall, wide = shown.pictures.shape[1:]
    across = 0.92 * 72 * PICTURE_ROW * wide / tall
    room = max(1, min(PICTURES, int((width - NUMBERS - COUNTS) / (across + 3))))
    for place, example in enumerate(leaf.members[:room]):
        left = NUMBERS + COUNTS + place * (across + 3)
        draw_picture(axes, shown.pictures[example], (left, left + across, row + 0.46, row - 0.46))


def draw_picture(axes: Axes, picture: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """An image [height, width] with values in [0, 1], 1 is ink, in a thin frame, without a change of the axes."""
    limits, aspect = (axes.get_xlim(), axes.get_ylim()), axes.get_aspect()
    axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1, extent=extent, interpolation="nearest", zorder=3)
    axes.set(xlim=limits[0], ylim=limits[1], aspect=aspect)
    left, right, bottom, top = extent
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=theme.FAINT, linewidth=0.5, zorder=4)
    )


def _legend(images: bool, cut: float) -> list[Artist]:
    entries: list[Artist] = [
        Line2D([], [], color=theme.INK, linewidth=0.9, linestyle=(0, (4, 3)), label=f"cut at {theme.scientific(cut)}")
    ]
    if not images:
        entries += [
            Patch(facecolor=theme.COLOURS["activation"], alpha=shaded_tokens.DARKEST, label="largest activation"),
            Patch(facecolor="none", edgecolor=theme.INK, linewidth=0.8, label="key token, five tokens after it"),
        ]
    return entries


def _what_is_drawn(shown: ShownFeature, tree: Folded, images: bool) -> str:
    leaves = list(tree.root.leaves())
    words = "Average linkage of their neuron embeddings; 1 is the largest cluster."
    if folded := sum(len(leaf.members) > 1 for leaf in leaves):
        first = "" if images else ", of which the first is written out"
        held = sum(len(leaf.members) for leaf in leaves if len(leaf.members) > 1)
        words += f" ×: {theme.several(folded, 'sub-cluster')} of {held} examples drawn as one leaf each{first}."
    if tree.clusters_left_out:
        words += (
            f" Not drawn: the {theme.several(tree.clusters_left_out, 'smallest cluster')} "
            f"({theme.several(tree.examples_left_out, 'example')})."
        )
    return words
