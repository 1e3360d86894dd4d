"""S3.F4: two clusters of one feature in the plane, by what enters the neuron and by neuron embeddings."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import shaded_tokens, theme, token_line
from polysem.figures.parts.dendrogram_panel import cluster_colour, draw_picture
from polysem.figures.parts.shown_feature import ShownFeature, examples_in_words, require_clusters, with_two_clusters
from polysem.params.analysis import Analysis

CATALOGUE = "S3.F4"
READS = ("clusters", "labels")
PARAMS = ()
TITLE = "Two clusters under two embeddings"
CAPTION = """\
The two largest clusters of one feature in the plane (classical scaling of cosine distances), left by what enters the
feature, right by neuron embeddings. The titles give the mean distance within and between these two clusters under
both: good embeddings make the first small and the second large. Source: document S3, section 4.1.3 and figure 4.
"""
EACH = 3
"""Examples of each cluster that are written out."""
PANELS = {"input": "what enters the neuron", "neuron": "neuron embedding"}


@theme.styled
def draw(clusters: xr.Dataset, analysis: Analysis) -> Figure:
    """The two largest clusters of a feature, under both embeddings: classical scaling of cosine distances to a plane.

    Source: document S3, section 4.1.3 and its figure 4.
    """
    require_clusters(clusters)
    shown = with_two_clusters(clusters)
    rows = 2 if shown.pictures is not None else 2 * EACH
    figure = theme.sheet(5.2 + 0.17 * rows)
    grid = figure.add_gridspec(2, 2, height_ratios=[3.2, (0.40 if shown.pictures is not None else 0.17) * rows])
    for column, (embedding, words) in enumerate(PANELS.items()):
        axes = figure.add_subplot(grid[0, column])
        _draw_plane(axes, shown, embedding)
        of_two = clusters.isel(shown=shown.place).sel(embedding=embedding)
        intra, inter = (float(of_two[f"two_clusters_{name}_distance"]) for name in ("intra", "inter"))
        axes.set_title(f"{words}\nintra-cluster {_number(intra)}, inter-cluster {_number(inter)}", size=9, loc="left")
    below = figure.add_subplot(grid[1, :])
    below.axis("off")
    other = shown.cluster.size - int(shown.sizes[:2].sum())
    left_out = f" Not drawn: {theme.several(other, 'example')} of other clusters." if other else ""
    theme.frame(
        figure,
        clusters,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[_entry(shown, number) for number in (0, 1)],
        notes=[
            f"{examples_in_words(shown, clusters)} Clusters are those of the neuron embeddings in both panels. "
            "Distances are 1 − cosine, mean over pairs of examples within one of these two clusters, and over pairs "
            f"from both.{left_out}"
        ],
    )
    theme.lay_out(figure)
    _write_examples(below, shown, rows)
    return figure


def _draw_plane(axes: Axes, shown: ShownFeature, embedding: str) -> None:
    points = shown.plane[embedding]
    for number, marker in ((0, "o"), (1, "^")):
        x, y = points[shown.cluster == number].T
        axes.plot(x, y, marker, color=cluster_colour(number), markersize=5, alpha=0.75, markeredgewidth=0, zorder=3)
    drawn = points[shown.cluster < 2]
    middle = (drawn.min(0) + drawn.max(0)) / 2
    reach = 0.55 * float(np.ptp(drawn, axis=0).max()) or 1.0
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    axes.set_box_aspect(1)
    axes.grid(True, axis="both")
    axes.locator_params(nbins=5)


def _entry(shown: ShownFeature, number: int) -> Line2D:
    label = f"cluster {number + 1}: {theme.several(int(shown.sizes[number]), 'example')}"
    return Line2D([], [], marker="o^"[number], linestyle="", markersize=6, color=cluster_colour(number), label=label)


def _write_examples(axes: Axes, shown: ShownFeature, rows: int) -> None:
    """The first examples of both clusters, each behind a mark in the colour of its cluster."""
    width = shaded_tokens.prepare(axes, rows)
    largest = float(shown.activation.max())
    for number in (0, 1):
        members = np.flatnonzero(shown.cluster == number)
        if shown.pictures is not None:
            tall, wide = shown.pictures.shape[1:]
            height = 72 * theme.inches(axes)[1] / rows
            across = 0.92 * height * wide / tall
            axes.plot([4], [number], "o^"[number], color=cluster_colour(number), markersize=5, clip_on=False)
            for place, example in enumerate(members[: int((width - 14) / (across + 3))].tolist()):
                left = 14 + place * (across + 3)
                draw_picture(axes, shown.pictures[example], (left, left + across, number + 0.46, number - 0.46))
        elif shown.texts is not None:
            for place, example in enumerate(members[:EACH].tolist()):
                row = number * EACH + place
                axes.plot([4], [row], "o^"[number], color=cluster_colour(number), markersize=4, clip_on=False)
                tokens = token_line.line(shown.texts[example], shown.window[example], shown.offset, largest)
                shaded_tokens.write(axes, row, tokens, 14, width)


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "undefined"
