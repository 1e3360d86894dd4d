"""S1.F4: contexts without a feature: which tokens become less likely, and which likelier."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from polysem.figures.parts import shaded_tokens, theme, token_line
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F4"
READS = ("ablation",)
PARAMS = ()
TITLE = "Contexts without a feature"
CAPTION = """\
Features that know a tag best, each set to 0 in a whole context. Shaded: how active the feature is. Underlined: how much
less likely (dark blue), or likelier (green), a token becomes given those before it, the thickest line being the largest
change of the feature's contexts, in nats on the right. Of each feature there is a context from the highest interval of
its activation and one from the middle; the token in its box is the one that was drawn. A token is predicted before it
is read, so that the line of a token goes with the shade in front of it. Source: document S1, "Feature ablations".
"""
ROW, HEAD = 0.235, 0.9
"""Inches of a line, and the height of a heading in lines."""
MOST = 12
"""Features that are drawn; the first one of each dictionary comes before a second one of any."""
NUMBERS = 44
"""Points on the right for the largest change."""
LONGEST = 70
"""Characters of a heading."""


@dataclass(frozen=True)
class Block:
    """A feature with its contexts."""

    shown: int
    heading: str
    lines: list[token_line.Line]
    largest: float
    """The largest change of a token, in nats."""


@theme.styled
def draw(ablation: xr.Dataset, analysis: Analysis) -> Figure:
    """A block of lines for each feature. Source: document S1, "Feature ablations"."""
    if "shown_feature" not in ablation:
        raise NotApplicable("a classifier's images are one token each, and no context")
    blocks = [block for shown in _chosen(ablation) if (block := _block(ablation, shown)).lines]
    if not blocks:
        raise NotApplicable("no feature of the model is active on a token with another behind it")
    drawn = blocks[:MOST]
    heights = HEAD * len(drawn) + sum(len(block.lines) + 0.35 for block in drawn)
    figure = theme.sheet(1.5 + ROW * heights)
    axes = figure.subplots()
    theme.frame(
        figure,
        ablation,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[
            Patch(
                facecolor=theme.COLOURS["activation"], alpha=shaded_tokens.DARKEST, label="activation of the feature"
            ),
            theme.swatch("less_likely", "less likely without it"),
            theme.swatch("likelier", "likelier without it"),
        ],
        columns=3,
        notes=_notes(ablation, len(blocks)),
    )
    theme.lay_out(figure)
    wide = shaded_tokens.prepare(axes, heights)
    at = 0.0
    for block in drawn:
        axes.text(0, at, block.heading, size=8, va="center_baseline", color=theme.FAINT, parse_math=False)
        at += HEAD
        for number, line in enumerate(block.lines):
            shaded_tokens.write(axes, at, line, 0, wide - NUMBERS)
            if not number:
                _largest(axes, wide, at, block.largest)
            at += 1
        at += 0.35
    return figure


def _largest(axes: Axes, wide: float, at: float, largest: float) -> None:
    text = f"{theme.scientific(largest)} nat"
    axes.text(wide, at, text, size=7, va="center_baseline", ha="right", color=theme.FAINT, parse_math=False)


def _chosen(ablation: xr.Dataset) -> list[int]:
    """The shown features: the first of each dictionary, then the second of each, and so on; in the order of the
    dictionaries as far as they are drawn."""
    places = ablation["shown_place"].to_numpy().tolist()
    rank = [places[:number].count(place) for number, place in enumerate(places)]
    first = sorted(range(len(places)), key=lambda shown: (rank[shown], shown))
    return sorted(first[:MOST]) + first[MOST:]


def _block(ablation: xr.Dataset, shown: int) -> Block:
    one = ablation.isel(shown=shown)
    place = int(one["shown_place"])
    site, dictionary = (str(ablation[name].to_numpy()[place]) for name in ("site", "dictionary"))
    tag = str(one["shown_tag"].item())
    heading = visible(f"{site} / {dictionary} / {int(one['shown_feature']):,}{f', {tag}' if tag else ''}")
    change, activation, token = (one[f"shown_{name}"].to_numpy() for name in ("change", "activation", "token"))
    known = np.abs(change[np.isfinite(change)])
    largest = float(known.max()) if known.size and known.max() > 0 else 1.0
    offsets = ablation["offset"].to_numpy()
    lines = []
    for context in np.flatnonzero(one["shown_sequence"].to_numpy() >= 0).tolist():
        inside = token[context] >= 0
        texts = [
            str(text) if here else None
            for text, here in zip(one["shown_text"].to_numpy()[context], inside, strict=True)
        ]
        line = token_line.line(texts, activation[context].astype(float), offsets, float(one["shown_largest"]))
        effects = change[context][inside].astype(float) / largest
        lines.append(token_line.Line(line.texts, line.shares, line.key, effects))
    return Block(shown, heading if len(heading) <= LONGEST else f"{heading[: LONGEST - 1]}…", lines, largest)


def _notes(ablation: xr.Dataset, blocks: int) -> list[str]:
    notes = ["On the right: the largest change of a token in the contexts of a feature."]
    if blocks > MOST:
        notes.append(f"Drawn: {MOST} of {blocks} features; all are in the table.")
    return notes
