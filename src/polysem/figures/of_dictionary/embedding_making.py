"""S3.F1: how a neuron embedding is made, from the two largest clusters of one feature."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from polysem.figures.parts import shaded_tokens, theme, token_line
from polysem.figures.parts.dendrogram_panel import ROW, cluster_colour, draw_picture
from polysem.figures.parts.feature_names import noun
from polysem.figures.parts.pixel_map import draw_map
from polysem.figures.parts.shown_feature import (
    EXAMPLES,
    MOST,
    RARE,
    TIGHTEST,
    TWO,
    ShownFeature,
    examples_in_words,
    require_clusters,
    shown_for,
    states_in_words,
)
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.F1"
READS = ("clusters", "labels")
PARAMS = ()
TITLE = "How a neuron embedding is made"
CAPTION = """\
How the neuron embedding of an example is made, for the central examples of the two largest clusters of one feature
(or, where every feature has a single cluster, its central example and the one most unlike it): what enters the feature
at the key token, times its weights, input by input, is the embedding. The bars stand in one order in all panels,
largest products first; where the image itself enters, all three are drawn as images. Of neurons the vector behind the
norm enters, of SAE features the activation less ``b_dec``. Source: document S3, section 3.1 and figure 1.
"""
COLUMNS = ("what enters, h", "weights, w", "embedding, e = h ⊙ w")


@theme.styled
def draw(clusters: xr.Dataset, analysis: Analysis) -> Figure:
    """The central examples of the two largest clusters of a feature: entering vector, weights, and their product. Where
    all have a single cluster, its central example and the one that is most unlike it.

    Source: document S3, section 3.1 and its figure 1.
    """
    require_clusters(clusters)
    shown = _shown(clusters)
    made = clusters.isel(shown=shown.place)
    chosen: list[int] = made["contrast_example"].to_numpy().tolist()
    embeddings, order = made["contrast_embedding"].to_numpy(), made["contrast_input"].to_numpy()
    vectors = (shown.entering[chosen], np.stack([shown.weight, shown.weight]), embeddings)
    extremes = [float(np.abs(both).max()) or 1.0 for both in vectors]
    as_pictures = shown.shape is not None
    figure = theme.sheet(6.4 if as_pictures else 5.4)
    grid = figure.add_gridspec(4, 3, height_ratios=[0.7, 3, 0.7, 3])
    lines = [figure.add_subplot(grid[row, :]) for row in (0, 2)]
    panels = [[figure.add_subplot(grid[row, column]) for column in range(3)] for row in (1, 3)]
    for number, (example, row) in enumerate(zip(chosen, panels, strict=True)):
        for column, (axes, both, extreme) in enumerate(zip(row, vectors, extremes, strict=True)):
            if as_pictures and shown.shape is not None:
                draw_map(axes, both[number].reshape(shown.shape), extreme)
            else:
                colour = cluster_colour(int(shown.cluster[example])) if column == 2 else theme.COLOURS["bulk"]
                _draw_bars(axes, both[number][order], extreme, colour)
            if not number:
                axes.set_title(COLUMNS[column], size=9, loc="left")
    if not as_pictures:
        for axes in panels[1]:
            axes.set_xlabel(f"inputs, largest |e| first ({order.size})")
    for axes in lines:
        axes.axis("off")
    theme.frame(figure, clusters, title=TITLE, catalogue=CATALOGUE, notes=_notes(shown, clusters, as_pictures))
    theme.lay_out(figure)
    for axes, example in zip(lines, chosen, strict=True):
        _write_line(axes, shown, example)
    return figure


def _shown(clusters: xr.Dataset) -> ShownFeature:
    found = shown_for(clusters, TWO, MOST, RARE, EXAMPLES, TIGHTEST)
    if not found:
        raise NotApplicable(f"no {noun(clusters)} has examples to cluster: {states_in_words(clusters)}")
    return next((shown for shown in found if shown.clusters > 1), found[0])


def _draw_bars(axes: Axes, values: NDArray[np.float64], extreme: float, colour: str) -> None:
    axes.bar(np.arange(values.size), values, width=0.8, color=colour, zorder=3)
    axes.axhline(0, color=theme.FAINT, linewidth=0.7, zorder=4)
    axes.set(ylim=(-1.08 * extreme, 1.08 * extreme), xticks=[], xlim=(-0.8, values.size - 0.2))
    axes.spines["bottom"].set_visible(False)
    axes.locator_params(axis="y", nbins=4)


def _write_line(axes: Axes, shown: ShownFeature, example: int) -> None:
    """The example itself, in the colour of its cluster."""
    number = int(shown.cluster[example])
    height = theme.inches(axes)[1]
    lines = height / ROW
    width, middle = shaded_tokens.prepare(axes, lines), (lines - 1) / 2
    style: Any = {"size": 8.5, "va": "center_baseline", "color": cluster_colour(number), "parse_math": False}
    said = f"cluster {number + 1} of {shown.clusters}, {theme.several(int(shown.sizes[number]), 'example')}"
    axes.text(0, middle, said, weight="bold", **style).set_in_layout(False)
    start = 150.0
    if shown.texts is not None:
        largest = float(shown.activation.max())
        tokens = token_line.line(shown.texts[example], shown.window[example], shown.offset, largest)
        shaded_tokens.write(axes, middle, tokens, start, width)
    elif shown.pictures is not None and shown.shape is None:
        tall, wide = shown.pictures.shape[1:]
        across = 72 * 0.98 * height * wide / tall
        extent = (start, start + across, middle + 0.49 * lines, middle - 0.49 * lines)
        draw_picture(axes, shown.pictures[example], extent)


def _notes(shown: ShownFeature, clusters: xr.Dataset, as_pictures: bool) -> list[str]:
    made = clusters.isel(shown=shown.place)
    drawn, held = made.sizes["contrast_rank"], made["contrast_input_share"].to_numpy()
    apart = {of: float(made["contrast_distance"].sel(embedding=of)) for of in ("input", "neuron")}
    words = [
        examples_in_words(shown, clusters),
        f"Drawn: {_what(shown)}. Cosine distance between the two: {apart['input']:.2f} of what enters, "
        f"{apart['neuron']:.2f} of the neuron embeddings. Weights: {clusters.attrs['weights']}.",
    ]
    if as_pictures:
        words.append("One scale per column; orange is positive, purple negative.")
    elif drawn < shown.weight.size:
        words.append(
            f"{drawn} of {shown.weight.size:,} inputs, in one order; they hold {100 * held[0]:.0f} % and "
            f"{100 * held[1]:.0f} % of the squared length of the two embeddings."
        )
    return words


def _what(shown: ShownFeature) -> str:
    if shown.clusters > 1:
        return "the central examples of its two largest clusters, the members nearest to all others"
    return "the central example of its one cluster, nearest to all others, and the one most unlike it"
