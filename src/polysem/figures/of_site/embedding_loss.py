"""S3.T2, S3.T3: what the neuron-embedding loss changes, over SAEs that differ in its weight alone."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.T2 S3.T3"
READS = ("site/embedding_loss",)
PARAMS = ()
TITLE = "SAEs with and without the neuron-embedding loss"
CAPTION = """\
SAEs whose recipes differ in the weight of the neuron-embedding loss alone: quantities of document S3's tables 2 and 3
and two more, a panel each, mean over seeds with its 95 % interval. The document's numbers, without and with the loss,
stand above each panel and as crosses at its edges; they are of an MLP on MNIST and comparable in their direction
where the model is another. Source: document S3, section 4.2, tables 2 and 3.
"""
COLUMNS = 4
MANY = 3
"""Weights whose labels stand side by side."""
ROOM = 0.05
"""Above the highest interval, as a share of the panel."""
MARKERS = "osD^v<>p"


@dataclass(frozen=True)
class Quantity:
    """A panel: a quantity of the table, in percent or not, and what the document has without and with the loss."""

    title: str
    name: str
    document: tuple[str, str] | None = None
    factor: float = 1


@theme.styled
def draw(site_embedding_loss: xr.Dataset, analysis: Analysis) -> Figure:
    """Mean over seeds with its 95 % interval, for every weight of the loss, in a panel for each quantity.

    Source: document S3, section 4.2 and its tables 2 and 3.
    """
    table = site_embedding_loss
    if reason := table.attrs.get("not_applicable"):
        raise NotApplicable(reason)
    every = quantities(table)
    rows = -(-len(every) // COLUMNS)
    figure = theme.sheet(1.75 + 2.1 * rows)
    panels = figure.subplots(rows, COLUMNS).ravel()
    for axes, quantity in zip(panels, every, strict=False):
        _draw(axes, quantity, table)
    for axes in panels[len(every) :]:
        axes.set_visible(False)
    theme.frame(
        figure,
        table,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=_legend(table["family"].to_numpy().astype(str).tolist()),
        columns=min(3, table.sizes["family"]),
        notes=_notes(table["seeds"].to_numpy()),
    )
    return figure


def quantities(table: xr.Dataset) -> list[Quantity]:
    """In the order of the panels: first those of the document's table 2, then those of table 3.

    Dead features are counted as the document does; of a language model, which has no such, those that are active on no
    eval token, which the document has no number for.
    """
    on_training = bool(np.isfinite(table["dead_share"]).any())
    dead = Quantity("dead, %", "dead_share", ("23.8", "3.7"), 100)
    return [
        Quantity("mean squared error", "mse", ("0.33", "0.55")),
        Quantity("L1", "l1", ("20.3", "25.8")),
        Quantity("L0, %", "active_share", ("2.4", "9.1"), 100),
        Quantity("accuracy loss, %", "accuracy_loss", ("1.5", "4.6"), 100),
        Quantity("loss recovered, %", "loss_recovered", factor=100),
        Quantity("max distance", "max_distance", ("0.45", "0.28")),
        Quantity("mean distance", "mean_distance", ("0.21", "0.08")),
        Quantity("size, examples", "size", ("7", "32")),
        dead if on_training else Quantity("never active, %", "never_active_share", factor=100),
        Quantity("monosemanticity above base", "monosemanticity_above_base"),
    ]


def _draw(axes: Axes, quantity: Quantity, table: xr.Dataset) -> None:
    weights = table["weight"].to_numpy()
    values, middle, half = (
        quantity.factor * table[quantity.name + end].to_numpy() for end in ("", "_mean", "_interval")
    )
    family, weight, seeds = (table[name].to_numpy() for name in ("family_of", "weight_of", "seeds"))
    document = "{}; with loss {}".format(*quantity.document) if quantity.document else "–"
    axes.set_title(quantity.title, size=9, loc="left", pad=17)
    axes.text(0, 1.03, document, transform=axes.transAxes, size=7.5, color=theme.FAINT, va="bottom")
    axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    axes.tick_params(axis="x", labelsize=8, rotation=0 if len(weights) <= MANY else 45)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(-0.5, len(weights) - 0.5)
    axes.set_xlabel("weight λ₂", size=8)
    if not np.isfinite(values).any():
        axes.set(yticks=[])
        theme.message(axes, "not\nmeasured")
        return
    for number in range(table.sizes["family"]):
        colour = theme.FAMILIES[number % len(theme.FAMILIES)]
        shift = 0.5 * (number - (table.sizes["family"] - 1) / 2) / table.sizes["family"]
        there = np.flatnonzero(seeds[number])
        for place in there:
            of_seeds = values[(family == number) & (weight == place)]
            axes.plot(
                [place + shift + 0.08] * of_seeds.size, of_seeds, ".", color=colour, alpha=0.45, markersize=4, zorder=3
            )
        style = {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 4.5, "linewidth": 1.1}
        interval = np.nan_to_num(half[number, there])
        axes.errorbar(there + shift, middle[number, there], interval, capsize=2.5, zorder=4, **style)  # type: ignore[arg-type]
    if quantity.document:
        ends, published = [-0.4, len(weights) - 0.6], [float(value) for value in quantity.document]
        axes.plot(ends, published, linestyle="", marker="x", markersize=4, color=theme.FAINT, zorder=5)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), high + ROOM * (high - min(0.0, low)))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _legend(families: list[str]) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=theme.FAMILIES[number % len(theme.FAMILIES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4.5,
            linewidth=1.1,
            label=name,
        )
        for number, name in enumerate(families)
    ]


def _notes(seeds: NDArray[np.int64]) -> list[str]:
    saes = int(seeds.sum())
    seeds = np.unique(seeds[seeds > 0])
    spread = f"{seeds[0]}" if seeds.size == 1 else f"{seeds[0]} to {seeds[-1]}"
    return [
        f"λ₂: embedding_loss (per-token mean). Dots: {theme.several(saes, 'SAE')}, {spread} per weight; means with "
        "95 % intervals (Student's t) where there are two seeds. L1: sum of the features, mean over tokens. Distances "
        "and size: medians over features (neuron embedding). Dead: largest activation on the training images below "
        "0.005, as in the document.",
        "Above each panel, and ×: document S3 on MNIST, without the loss (left) and with it (right). L1 was published "
        "over batches of 128, as 2600 and 3300, and λ₂ as 0.005, which is 40.96 in these units. All are of test images "
        "but the dead and, it seems, the accuracy lost without the loss, whose SAE loses 1.5 % on training images and "
        "1.3 % on test images.",
    ]
