"""S1.F4: what it does to set features to 0, by the interval of their activation."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from polysem.figures.parts import theme
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.F4"
READS = ("ablation",)
PARAMS = ()
TITLE = "What it does to set a feature to 0"
CAPTION = """\
A feature is set to 0 at one token, and all other activations stay as the model has them. How far the prediction there
moves, as KL divergence from the model as it is, by how active the feature was, in fifths of its largest activation:
medians over the features of a dictionary, with quartiles. Beside it the same length taken away along random directions
at the same tokens, and the neurons of the site. Where features matter to the model, their line lies above that of
random directions. Source: document S1, "Feature ablations".
"""
COLUMNS, PANEL = 3, 1.95
"""Panels side by side, and inches of a row."""
MOST = 12
"""Dictionaries that are drawn, the first ones."""
LEAST = 1e-9
"""Divergences below it are drawn there: they are rounding."""
LONGEST = 30
"""Characters of a line of a title."""


@theme.styled
def draw(ablation: xr.Dataset, analysis: Analysis) -> Figure:
    """A panel for each dictionary. Source: document S1, "Feature ablations"."""
    places = np.flatnonzero(ablation["measured_features"].to_numpy() > 0).tolist()
    if not places:
        raise NotApplicable("no feature of the model was ablated: none is active on a token with another behind it")
    shown = places[:MOST]
    rows = -(-len(shown) // COLUMNS)
    figure = theme.sheet(1.9 + PANEL * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axes, place in zip(panels.flat, shown, strict=False):
        _panel(axes, ablation, place)
    for axes in panels.flat[len(shown) :]:
        axes.axis("off")
    for axes in panels[:, 0]:
        axes.set_ylabel("KL (nats, log scale)")
    for axes in panels.flat[max(0, len(shown) - COLUMNS) : len(shown)]:
        axes.set_xlabel("% of largest activation")
        axes.tick_params(labelbottom=True)
    theme.frame(
        figure, ablation, title=TITLE, catalogue=CATALOGUE, legend=_legend(), columns=3, notes=_notes(ablation, places)
    )
    return figure


def _panel(axes: Axes, ablation: xr.Dataset, place: int) -> None:
    names, sites = (ablation[name].to_numpy().astype(str) for name in ("dictionary", "site"))
    features, random = (
        np.maximum(ablation[f"interval_quartiles_{name}"].to_numpy()[place], LEAST) for name in ("kl", "random_kl")
    )
    x = np.arange(len(features))
    neurons = np.flatnonzero((sites == sites[place]) & (names == NEURONS)).tolist()
    if names[place] != NEURONS and neurons:
        beside = np.maximum(ablation["interval_quartiles_kl"].to_numpy()[neurons[0], :, 0], LEAST)
        axes.plot(x, beside, color=theme.COLOURS["bulk"], linewidth=1.2, marker="s", markersize=3, zorder=2)
    axes.plot(x, random[:, 0], color=theme.COLOURS["random"], linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
    axes.fill_between(x, features[:, 1], features[:, 2], color=theme.COLOURS["real"], alpha=0.2, linewidth=0, zorder=1)
    axes.plot(x, features[:, 0], color=theme.COLOURS["real"], linewidth=1.4, marker="o", markersize=4, zorder=4)
    axes.set_yscale("log")
    axes.set_xticks(x, [f"{100 * part // len(x)}–{100 * (part + 1) // len(x)}" for part in x], size=7.5)
    lines = [visible(text) for text in (names[place], sites[place])]
    title = "\n".join(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…" for text in lines)
    axes.set_title(title, loc="left", size=8, parse_math=False)


def _legend() -> Sequence[Artist]:
    return [
        Line2D([], [], color=theme.COLOURS["real"], marker="o", markersize=4, label="features: median"),
        Patch(facecolor=theme.COLOURS["real"], alpha=0.2, label="lower to upper quartile"),
        Line2D([], [], color=theme.COLOURS["random"], linestyle=(0, (4, 2)), label="random directions: median"),
        Line2D([], [], color=theme.COLOURS["bulk"], marker="s", markersize=3, label="neurons of the site: median"),
    ]


def _notes(ablation: xr.Dataset, places: Sequence[int]) -> list[str]:
    ablated = int((ablation["state"].to_numpy() == "ablated").sum())
    notes = [
        f"{theme.several(ablated, 'feature')} and neurons were ablated, each at up to {ablation.sizes['spot']} tokens "
        f"from all intervals, and {ablation.sizes['draw']} random directions of the norm of its decoder row at these."
    ]
    if left := len(ablation["state"]) - ablated:
        notes.append(f"Left out: {theme.several(left, 'feature')} never active, or at no token with another behind it.")
    if more := len(places) - MOST:
        notes.append(
            f"Not drawn: {theme.several(more, 'dictionary') if more == 1 else f'{more:,} dictionaries'}."
            if more > 0
            else ""
        )
    return [note for note in notes if note]
