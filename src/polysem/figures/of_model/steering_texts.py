"""S1.F5: what a model writes before and after features are set, side by side."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from polysem.figures.parts import theme
from polysem.figures.parts.reading_direction import stretches
from polysem.figures.parts.shaded_tokens import SIZE, TALL, prepare, width
from polysem.figures.parts.steered_ways import COLOURS
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S1.F5"
READS = ("steering",)
PARAMS = ()
TITLE = "Texts before and after steering"
CAPTION = """\
What the model writes behind nothing (BOS alone) and behind the beginning of a document, as it is and with a feature set
to multiples of its largest activation. All lines of a prompt are drawn with the same noise, so that words differ where
the edit makes them differ. Shaded: what carries the feature's tag, by a recogniser of words and characters. Source:
document S1, "Feature downstream effect".
"""
FEATURES = 8
"""Features that are drawn, in turn of the sites."""
PROMPTS = 2
"""Prompts that are drawn of each, the first sample of it."""
ROW, HEAD = 0.155, 0.3
"""Inches: a line of text; what stands above those of a feature."""
LABEL = 52
"""Points in front of the texts."""
SHADE = 0.35
PROMOTED = 5
"""Promoted tokens that are named."""


@dataclass(frozen=True)
class Line:
    """A text, with the words in front of it and what carries the tag."""

    label: str
    prompt: str
    text: str
    marks: str


@theme.styled
def draw(steering: xr.Dataset, analysis: Analysis) -> Figure:
    """A block for each feature: its number and what it is about, and the texts.

    Source: document S1, "Feature downstream effect".
    """
    if reason := steering.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    shown = _in_turn(steering["site"].to_numpy().astype(str).tolist())[:FEATURES]
    blocks = [list(_lines(steering.isel(steered=number))) for number in shown]
    figure = theme.sheet(1.7 + sum(HEAD + ROW * (len(lines) + 1) for lines in blocks))
    panels = figure.subplots(len(blocks), 1, height_ratios=[len(lines) + 1 for lines in blocks], squeeze=False)[:, 0]
    for axes, number in zip(panels, shown, strict=True):
        axes.set_title(_head(steering.isel(steered=number)), loc="left", size=7.6, parse_math=False)
        axes.axis("off")
    theme.frame(
        figure,
        steering,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=[Patch(facecolor=COLOURS["feature"], alpha=SHADE, label="carries the feature's tag")],
        columns=1,
        notes=_notes(steering, len(shown)),
    )
    theme.lay_out(figure)
    for axes, lines in zip(panels, blocks, strict=True):
        room = prepare(axes, len(lines))
        for row, line in enumerate(lines):
            _write(axes, row, line, room)
    return figure


def _in_turn(sites: list[str]) -> list[int]:
    """Numbers of the features: the first of each site, then the second of each."""
    place = [sites[:number].count(site) for number, site in enumerate(sites)]
    return sorted(range(len(sites)), key=lambda number: (place[number], number))


def _head(of: xr.Dataset) -> str:
    tag = str(of["tag"].item())
    promoted = [visible(str(text)) for text in of["promoted_text"].to_numpy()[:PROMOTED] if text]
    about = f"tag {visible(tag)}" if tag else "no recognised tag"
    raised = f"; raises {' '.join(f'“{word}”' for word in promoted)}" if promoted else ""
    name = f"{of['dictionary'].item()} feature {int(of['feature']):,}"
    return f"{of['site'].item()} / {name}: {about}{raised}"


def _lines(of: xr.Dataset) -> Iterator[Line]:
    """The texts of a feature: of each prompt that of the model as it is, then by dose."""
    prompts, samples = of["prompt"].to_numpy().astype(str), of["sample"].to_numpy()
    for text in np.flatnonzero(samples == 0).tolist()[:PROMPTS]:
        unsteered = of.sel(way="unsteered").isel(dose=0, text=text)
        yield _line("as it is", prompts[text], unsteered)
        for dose in of["dose"].to_numpy().tolist():
            if dose >= 1:
                yield _line(f"{dose:g} × max.", prompts[text], of.sel(way="feature", dose=dose).isel(text=text))


def _line(label: str, prompt: str, of: xr.Dataset) -> Line:
    return Line(label, prompt, str(of["continuation"].item()), str(of["marks"].item()))


def _write(axes: Axes, row: int, line: Line, room: float) -> None:
    """As much of prompt and text as fits; runs that read from the right stand in their order."""
    _put(axes, row, 0, line.label, theme.FAINT)
    at = float(LABEL)
    for word, colour, is_marked in _words(line):
        shown = visible(word)
        wide = width(shown)
        if at + wide > room - width("…"):
            _put(axes, row, at, "…", theme.FAINT)
            return
        if is_marked:
            box = (at, row - TALL / 2), wide, TALL
            axes.add_artist(Rectangle(*box, facecolor=COLOURS["feature"], alpha=SHADE, linewidth=0))
        _put(axes, row, at, shown, colour)
        at += wide


def _words(line: Line) -> Iterator[tuple[str, str, bool]]:
    """Words with their colours and whether they are marked, from left to right."""
    words = [(word, theme.FAINT, False) for word in re.findall(r"\s+|\S+", line.prompt)]
    marked = np.array(list(line.marks), "U1") == "1"
    starts = [0, *(np.flatnonzero(marked[1:] != marked[:-1]) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], len(line.text)], strict=True):
        of_run = re.findall(r"\s+|\S+", line.text[start:stop])
        words += [(word, theme.INK, bool(marked[start])) for word in of_run]
    for places, is_turned in stretches([word for word, _, _ in words]):
        yield from (words[place] for place in (reversed(places) if is_turned else places))


def _put(axes: Axes, row: int, left: float, word: str, colour: str) -> None:
    if word.strip():
        text = axes.text(left, row, word, size=SIZE, va="center_baseline", color=colour, parse_math=False, zorder=5)
        text.set_in_layout(False)


def _notes(steering: xr.Dataset, drawn: int) -> list[str]:
    notes = ["Grey: the prompt. New lines and what cannot be seen are spelled out."]
    if more := steering.sizes["steered"] - drawn:
        notes.append(f"Not drawn: {theme.several(more, 'feature')}; all texts stand in the table steering.")
    return notes
