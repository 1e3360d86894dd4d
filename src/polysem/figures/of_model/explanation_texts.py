"""S1.F10: what explainers say of some features and neurons, with the score of each."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.shaded_tokens import width
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S1.F10"
READS = ("explanations",)
PARAMS = ()
TITLE = "Explanations"
CAPTION = """\
What explainers say of the features of two dictionaries, the neurons and an SAE: of the feature that is explained best,
of the one in the middle and of the worst, by the mean of the simulation scores, which stand in front of the texts.
They are correlations of predicted and real activation on texts that explainers were not shown. Explanations without a
text found nothing. Source: document S1, "Interpretability".
"""
LINE, HEAD, GAP = 0.148, 0.22, 0.08
"""Inches: a line, the name of a feature, and the room above it."""
SIZE = 7.2
NAME, SCORE, TEXT = 0.12, 1.2, 1.55
"""Inches from the left: what explains, its score, its text."""


@theme.styled
def draw(explanations: xr.Dataset, analysis: Analysis) -> Figure:
    """A block for each feature, with a line for each explainer."""
    if reason := explanations.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    features = _drawn(explanations)
    if not features:
        raise NotApplicable("no feature of the model has examples enough to be explained")
    names = explanations["explainer"].to_numpy().astype(str).tolist()
    figure = theme.sheet(1.35 + len(features) * (GAP + HEAD + LINE * len(names)))
    axes = figure.subplots()
    axes.axis("off")
    left_out = int((np.isfinite(explanations["score_of"].to_numpy()).any(axis=(1, 2))).sum()) - len(features)
    theme.frame(
        figure,
        explanations,
        title=TITLE,
        catalogue=CATALOGUE,
        notes=[f"Of each dictionary the best, the middle and the worst feature. Not shown: {left_out:,} others."],
    )
    theme.lay_out(figure)
    wide, tall = theme.inches(axes)
    axes.set(xlim=(0, wide), ylim=(tall, 0))
    top = 0.0
    for feature in features:
        top = _block(axes, explanations, feature, names, top + GAP, wide)
    return figure


def _drawn(table: xr.Dataset) -> list[int]:
    """Places along `explained`: the listed features of the neurons and of the first SAE beside them that has such."""
    place, listed = (table[name].to_numpy() for name in ("of_place", "listed"))
    dictionaries = table["dictionary"].to_numpy().astype(str)
    there = np.unique(place[listed > 0]).tolist()
    chosen = [
        next((one for one in there if (dictionaries[one] == NEURONS) is is_neurons), -1) for is_neurons in (True, False)
    ]
    return [row for one in chosen for row in np.flatnonzero((listed > 0) & (place == one)).tolist()]


def _block(axes: Axes, table: xr.Dataset, row: int, names: list[str], top: float, wide: float) -> float:
    """The lines of one feature; where the next one begins."""
    place = int(table["of_place"].to_numpy()[row])
    site, dictionary = (str(table[name].to_numpy()[place]) for name in ("site", "dictionary"))
    feature = int(table["feature"].to_numpy()[row])
    kind = "neuron" if dictionary == NEURONS else "feature"
    _write(axes, 0, top + HEAD / 2, f"{kind} {feature:,}", theme.INK, SIZE + 0.8)
    whose = visible(site if dictionary == NEURONS else f"{site} / {dictionary}")[:90]
    _write(axes, NAME + 0.9, top + HEAD / 2, whose, theme.FAINT, SIZE)
    top += HEAD
    score = table["score_of"].sel(score="simulation").to_numpy()[row]
    for number, name in enumerate(names):
        text = visible(str(table["text"].to_numpy()[row, number]))
        value = float(score[number])
        middle = top + LINE / 2
        _write(axes, NAME, middle, visible(name), theme.FAINT, SIZE)
        _write(axes, SCORE, middle, f"{value:.2f}" if np.isfinite(value) else "–", theme.INK, SIZE)
        _write(axes, TEXT, middle, _fitting(text, wide - TEXT), theme.INK, SIZE)
        top += LINE
    return top


def _write(axes: Axes, x: float, y: float, text: str, colour: str, size: float) -> None:
    axes.text(x, y, text, ha="left", va="center_baseline", size=size, color=colour, parse_math=False)


def _fitting(text: str, inches: float) -> str:
    """As much of a text as fits into a line."""
    room, cut = 72 * inches * 7.2 / SIZE, text
    while width(cut) > room and len(text) > 1:
        text = text[:-1]
        cut = f"{text}…"
    return cut
