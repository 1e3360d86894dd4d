"""S3.T2, S3.T3: what the neuron-embedding loss changes, over SAEs that differ in its weight alone."""

import json
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.special import stdtrit

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S3.T2 S3.T3"
READS = ("site/fidelity", "ultra_low", "tags", "clusters", "recipes")
PARAMS = ()
TITLE = "SAEs with and without the neuron-embedding loss"
CAPTION = """\
SAEs whose recipes differ in the weight of the neuron-embedding loss alone: quantities of document S3's tables 2 and 3
and two more, a panel each, mean over seeds with its 95 % interval. The document's numbers, without and with the loss,
stand above each panel; they are of an MLP on MNIST and comparable in their direction where the model is another.
Source: document S3, section 4.2, tables 2 and 3.
"""
COLUMNS = 4
MANY = 3
"""Weights whose labels stand side by side."""
ROOM = 0.05
"""Above the highest interval, as a share of the panel."""
CONFIDENCE = 0.95
MARKERS = "osD^v<>p"
OWN = "embedding_"
"""How the keys of the loss begin; without the loss the others are not read."""


@dataclass(frozen=True)
class Quantity:
    """A panel: values by dictionary, NaN where there is none, and what the document has without and with the loss."""

    title: str
    values: NDArray[np.float64]
    document: tuple[str, str] | None = None


@dataclass(frozen=True)
class Family:
    """SAEs that differ in the weight of the loss and in their seeds alone."""

    name: str
    members: dict[float, list[int]]
    """Numbers of dictionaries by weight, smallest first."""


@theme.styled
def draw(
    site_fidelity: xr.Dataset,
    ultra_low: xr.Dataset,
    tags: xr.Dataset,
    clusters: xr.Dataset,
    recipes: xr.Dataset,
    analysis: Analysis,
) -> Figure:
    """Mean over seeds with its 95 % interval, for every weight of the loss, in a panel for each quantity.

    Source: document S3, section 4.2 and its tables 2 and 3.
    """
    found = families(recipes)
    if not found:
        raise NotApplicable(
            "no two SAEs of this site differ in embedding_loss alone; a recipe with embedding_loss: [0, 0.001] has two"
        )
    every = quantities(site_fidelity, ultra_low, tags, clusters)
    rows = -(-len(every) // COLUMNS)
    figure = theme.sheet(1.75 + 1.95 * rows)
    weights = sorted({weight for family in found for weight in family.members})
    panels = figure.subplots(rows, COLUMNS).ravel()
    for axes, quantity in zip(panels, every, strict=False):
        _draw(axes, quantity, found, weights)
    for axes in panels[len(every) :]:
        axes.set_visible(False)
    theme.frame(
        figure,
        site_fidelity,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=_legend(found),
        columns=min(3, len(found)),
        notes=_notes(found, recipes),
    )
    return figure


def families(recipes: xr.Dataset) -> list[Family]:
    """Families with at least two weights, in the order of their first members."""
    grouped: dict[str, dict[float, list[int]]] = {}
    names = [str(name) for name in recipes["dictionary"].to_numpy()]
    for number, text in enumerate(recipes["recipe"].to_numpy().astype(str)):
        keys = json.loads(text) if text else {}
        if "embedding_loss" not in keys:
            continue
        weight = float(keys["embedding_loss"])
        shared = {key: value for key, value in keys.items() if key != "seed" and not key.startswith(OWN)}
        grouped.setdefault(json.dumps(shared, sort_keys=True), {}).setdefault(weight, []).append(number)
    return [
        Family(_name([names[n] for each in members.values() for n in each]), dict(sorted(members.items())))
        for members in grouped.values()
        if len(members) > 1
    ]


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of the known values, and half the width of its 95 % interval by Student's t; that is NaN for fewer than
    two."""
    known = values[np.isfinite(values)]
    if known.size < 2:
        return (float(known[0]) if known.size else np.nan), np.nan
    factor = float(stdtrit(known.size - 1, (1 + CONFIDENCE) / 2))
    return float(known.mean()), factor * float(known.std(ddof=1)) / known.size**0.5


def quantities(fidelity: xr.Dataset, ultra_low: xr.Dataset, tags: xr.Dataset, clusters: xr.Dataset) -> list[Quantity]:
    """In the order of the panels: first those of the document's table 2, then those of table 3."""
    features = ultra_low["features"].to_numpy().astype(np.float64)

    def known(table: xr.Dataset, name: str) -> NDArray[np.float64]:
        if name not in table:
            return np.full(features.size, np.nan)
        found = table[name].sel(embedding="neuron") if "embedding" in table[name].dims else table[name]
        return found.to_numpy().astype(np.float64)

    return [
        Quantity("mean squared error", known(fidelity, "mse"), ("0.33", "0.55")),
        Quantity("L1", known(fidelity, "l1"), ("20.3", "25.8")),
        Quantity("L0, %", 100 * known(fidelity, "L0") / features, ("2.4", "9.1")),
        Quantity("accuracy loss, %", 100 * known(fidelity, "accuracy_loss"), ("1.5", "4.6")),
        Quantity("loss recovered, %", 100 * known(fidelity, "loss_recovered_zero")),
        Quantity("max distance", known(clusters, "median_max_distance"), ("0.45", "0.28")),
        Quantity("mean distance", known(clusters, "median_mean_distance"), ("0.21", "0.08")),
        Quantity("size, examples", known(clusters, "median_size"), ("7", "32")),
        dead(known(ultra_low, "dead_share"), known(ultra_low, "never_active") / features),
        Quantity("monosemanticity above base", known(tags, "median_monosemanticity_above_base")),
    ]


def dead(on_training: NDArray[np.float64], never_active: NDArray[np.float64]) -> Quantity:
    """Dead features as the document counts them; of a language model those that are active on no eval token, which the
    document has no number for."""
    if np.isfinite(on_training).any():
        return Quantity("dead, %", 100 * on_training, ("23.8", "3.7"))
    return Quantity("never active, %", 100 * never_active)


def _draw(axes: Axes, quantity: Quantity, found: list[Family], weights: list[float]) -> None:
    document = "{}; with loss {}".format(*quantity.document) if quantity.document else "–"
    axes.set_title(quantity.title, size=9, loc="left", pad=17)
    axes.text(0, 1.03, document, transform=axes.transAxes, size=7.5, color=theme.FAINT, va="bottom")
    axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    axes.tick_params(axis="x", labelsize=8, rotation=0 if len(weights) <= MANY else 45)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(-0.5, len(weights) - 0.5)
    if not np.isfinite(quantity.values).any():
        axes.set(yticks=[])
        theme.message(axes, "not\nmeasured")
        return
    for number, family in enumerate(found):
        colour = theme.FAMILIES[number % len(theme.FAMILIES)]
        shift = 0.5 * (number - (len(found) - 1) / 2) / len(found)
        at = np.array([weights.index(weight) + shift for weight in family.members])
        for x, members in zip(at, family.members.values(), strict=True):
            seeds = quantity.values[members]
            axes.plot([x + 0.08] * seeds.size, seeds, ".", color=colour, alpha=0.45, markersize=4, zorder=3)
        middle, half = np.array([interval(quantity.values[members]) for members in family.members.values()]).T
        style = {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 4.5, "linewidth": 1.1}
        axes.errorbar(at, middle, np.nan_to_num(half), capsize=2.5, zorder=4, **style)  # type: ignore[arg-type]
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), high + ROOM * (high - min(0.0, low)))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _legend(found: list[Family]) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=theme.FAMILIES[number % len(theme.FAMILIES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4.5,
            linewidth=1.1,
            label=family.name,
        )
        for number, family in enumerate(found)
    ]


def _name(names: list[str]) -> str:
    """The recipes of these SAEs, `standard, embedding`."""
    recipes = list(dict.fromkeys(name.split("_")[0] for name in names))
    return ", ".join(recipes)


def _notes(found: list[Family], recipes: xr.Dataset) -> list[str]:
    saes = sum(len(members) for family in found for members in family.members.values())
    seeds = sorted({len(members) for family in found for members in family.members.values()})
    spread = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return [
        f"Below each panel: embedding_loss, λ₂ (per-token mean). Dots: {theme.several(saes, 'SAE')}, {spread} per "
        "weight; means with 95 % intervals (Student's t) where there are two seeds. L1: sum of the features, mean over "
        "tokens. Distances and size: medians over features (neuron embedding). Dead: largest activation on the "
        "training images below 0.005, as in the document.",
        "Above each panel: document S3 on MNIST, without the loss and with it. L1 was published over batches of 128, "
        "as 2600 and 3300, and λ₂ as 0.005, which is 40.96 in these units. All are of test images but the dead and, it "
        "seems, the accuracy lost without the loss, whose SAE loses 1.5 % on training images and 1.3 % on test images.",
    ]
