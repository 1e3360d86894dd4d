"""S3.F5: what a feature of an image classifier sees: activation map, importance map, logit effects, examples."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import name_of, noun
from polysem.figures.parts.pixel_map import draw_map
from polysem.figures.parts.shown_feature import (
    EXAMPLES,
    MOST,
    RARE,
    TIGHTEST,
    TWO,
    Pictures,
    ShownFeature,
    reads_tokens,
    require_clusters,
    shown_for,
    states_in_words,
)
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.F5"
READS = ("clusters", "logits", "labels")
PARAMS = ()
TITLE = "What a feature of an image classifier sees"
CAPTION = """\
Features of an image classifier, a row each: what a single bright pixel adds to the pre-activation (activation map),
the same times the mean of the feature's examples (importance map), the weight of the feature on the logit of each
class, and examples drawn at random from those that activate it strongly. Source: document S3, section 4.2 and figure
5.
"""
FEATURES = 3
COLUMNS, LINES = 4, 2
"""Of the examples that are drawn at random."""
MAPS = ("activation_map", "importance_map")
TITLES = ("activation map", "importance map", "logit weight by class", "examples drawn at random")


@theme.styled
def draw(clusters: xr.Dataset, logits: xr.Dataset, analysis: Analysis) -> Figure:
    """A row per feature: response to each single pixel, that times the mean example, logit weights of the classes, and
    examples drawn at random from those that activate it.

    Source: document S3, section 4.2 and its figure 5.
    """
    require_clusters(clusters)
    if reads_tokens(clusters):
        raise NotApplicable("the model reads tokens; the figure is made of images")
    chosen = _chosen(clusters)
    if not chosen:
        raise NotApplicable(f"no {noun(clusters)} has examples to show: {states_in_words(clusters)}")
    figure = theme.sheet(1.75 + 1.75 * len(chosen))
    grid = figure.add_gridspec(len(chosen), 4, width_ratios=[1.15, 1.15, 1.5, 1.9])
    for row, shown in enumerate(chosen):
        assert shown.pictures is not None
        panels = [figure.add_subplot(grid[row, column]) for column in range(4)]
        size = shown.pictures.shape[1:]
        for axes, name in zip(panels, MAPS, strict=False):
            _draw_map(axes, clusters[name][shown.place].to_numpy().astype(np.float64).reshape(size))
        _draw_effects(panels[2], logits, shown.feature)
        _draw_examples(panels[3], shown.pictures, clusters["drawn_example"][shown.place].to_numpy())
        panels[0].set_ylabel(name_of(clusters, shown.feature), size=9, color=theme.INK, weight="bold")
        if not row:
            for axes, title in zip(panels, TITLES, strict=True):
                axes.set_title(title, size=9, loc="left")
    theme.frame(figure, clusters, title=TITLE, catalogue=CATALOGUE, notes=_notes(clusters, chosen))
    return figure


def _chosen(clusters: xr.Dataset) -> list[ShownFeature]:
    """Different features, the one whose examples are most alike first."""
    found: dict[int, ShownFeature] = {}
    for shown in shown_for(clusters, TIGHTEST, MOST, EXAMPLES, TWO, RARE):
        found.setdefault(shown.feature, shown)
    return list(found.values())[:FEATURES]


def _draw_map(axes: Axes, values: NDArray[np.float64]) -> None:
    extreme = float(np.abs(values).max()) or 1.0
    draw_map(axes, values, extreme)
    axes.set_xlabel(f"±{theme.scientific(extreme)}", size=8, color=theme.FAINT)


def _draw_effects(axes: Axes, logits: xr.Dataset, feature: int) -> None:
    """Logit weights by class, of all classes that the table names."""
    axes.set_box_aspect(0.8)
    if "not_applicable" in logits.attrs:
        axes.axis("off")
        theme.message(axes, "no direct path\nto the classes")
        return
    own = logits.sel(feature=feature)
    known = dict(zip(own["boosted_token"].to_numpy().tolist(), own["boost"].to_numpy().tolist(), strict=True))
    known |= dict(zip(own["suppressed_token"].to_numpy().tolist(), own["suppression"].to_numpy().tolist(), strict=True))
    classes = sorted(known)
    values = [known[number] for number in classes]
    colours = [theme.COLOURS["real"] if value > 0 else theme.COLOURS["random"] for value in values]
    axes.bar(range(len(classes)), values, color=colours, width=0.75, zorder=3)
    axes.axhline(0, color=theme.FAINT, linewidth=0.7, zorder=4)
    axes.set_xticks(range(len(classes)), [str(number) for number in classes])
    axes.tick_params(axis="x", length=0, labelsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.locator_params(axis="y", nbins=4)


def _draw_examples(axes: Axes, pictures: Pictures, drawn: NDArray[np.int16]) -> None:
    """Those of a feature's pictures that the table has drawn, line by line; -1: none."""
    axes.axis("off")
    height, width = pictures.shape[1:]
    gap = max(1, width // 14)
    page = np.full((LINES * (height + gap) - gap, COLUMNS * (width + gap) - gap), np.nan, np.float32)
    for number, example in enumerate(drawn[drawn >= 0].tolist()):
        line, column = divmod(number, COLUMNS)
        top, left = line * (height + gap), column * (width + gap)
        page[top : top + height, left : left + width] = pictures[example]
    axes.imshow(page, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")


def _notes(clusters: xr.Dataset, shown: list[ShownFeature]) -> list[str]:
    word = noun(clusters)
    distances = clusters.sel(embedding="neuron")
    each = "; ".join(
        f"{word} {one.feature:,} has {theme.several(int(distances['clusters'][one.feature]), 'cluster')}, distances "
        f"of {float(distances['mean_distance'][one.feature]):.2f} on average and "
        f"{float(distances['max_distance'][one.feature]):.2f} at most, {theme.several(one.cluster.size, 'example')}"
        for one in shown
    )
    return [
        f"Activation map: pre-activation of the {word} for an image with one pixel lit, less that for the blank image. "
        "Importance map: the same times the mean example. Orange is positive, purple negative, ± the ends of a map's "
        "scale.",
        f"{each[0].upper()}{each[1:]}.",
    ]
