"""S4.X4: a word and its replacements through the features of the word, beside words of equal frequency."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from polysem.figures.parts import theme
from polysem.figures.parts.shaded_tokens import SIZE, width
from polysem.figures.parts.token_words import visible
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis

CATALOGUE = "S4.X4"
READS = ("concept_probes",)
PARAMS = ()
TITLE = "A word and its replacements"
CAPTION = """\
A feature of the first word of each sentence, and its activation on the words that replace it, as a share of that on the
first word, which stands as it is. The feature of each dictionary is, of the 25 that are most active on the first word,
the one that is furthest above other words of the same frequency in the same place. Beside each word, narrow: the 95 %
quantile of its activations on 40 words that occur about as often as this one. Outlined: more active than on 95 % of
them, so that the feature has to do with the word, and not with any word that is as rare. Source: document S4, "Test 1:
Find a Specific Concept – Red", and "Test 2".
"""
PANELS = 2
"""Sentences side by side."""
ROW, HEAD = 0.165, 0.62
"""Inches: a line of a dictionary; what stands above the lines."""
MOST = 30
"""Dictionaries that are drawn, the first ones."""
WIDE, NARROW = 0.66, 0.22
"""Parts of a word's column: the word's own activation, and that on its controls."""
DARKEST = 0.8
"""Opacity of the shade at 1 and above; ink stays legible on it."""
FEATURE = 0.85
"""Width of the column with the numbers of the features, where one of a word is 1 wide."""
LONGEST = {"name": 20, "sentence": 42}
"""Characters of names and texts."""


@dataclass(frozen=True)
class Lines:
    """The dictionaries that are drawn, and where: those of a site below its name."""

    places: list[int]
    heights: list[float]
    sites: list[tuple[float, str]]

    @property
    def bottom(self) -> float:
        """Where the last line ends."""
        return self.heights[-1] + 0.5


@theme.styled
def draw(concept_probes: xr.Dataset, analysis: Analysis) -> Figure:
    """A block of lines for each sentence that a model knows the words of; the best feature of each dictionary.

    Source: document S4, "Red-oubling Our Efforts", and "It's All Greek To Me".
    """
    if reason := concept_probes.attrs.get("not_applicable"):
        raise NotApplicable(str(reason))
    measured = concept_probes["state"].to_numpy().astype(str) == "measured"
    probes = np.flatnonzero(measured[:, 0]).tolist()
    if not probes:
        raise NotApplicable(
            "no word of its probes is one token, or among the eval tokens; write probes of words that it knows into "
            "analysis.probes"
        )
    words = {probe: np.flatnonzero(measured[probe]).tolist() for probe in probes}
    lines = _lines(concept_probes)
    rows = -(-len(probes) // PANELS)
    figure = theme.sheet(1.6 + rows * (HEAD + ROW * (lines.bottom + 0.5)))
    panels = figure.subplots(rows, PANELS, squeeze=False)
    columns = max(map(len, words.values()))
    for number, (axes, probe) in enumerate(zip(panels.flat, probes, strict=False)):
        axes.set(xlim=(-FEATURE, columns), ylim=(lines.bottom, -0.5))
        _title(axes, concept_probes, probe)
        _label(axes, concept_probes, lines if number % PANELS == 0 else None)
    for axes in panels.flat[len(probes) :]:
        axes.axis("off")
    theme.frame(
        figure,
        concept_probes,
        title=TITLE,
        catalogue=CATALOGUE,
        legend=_legend(concept_probes),
        columns=1,
        notes=_notes(concept_probes, measured, lines),
    )
    theme.lay_out(figure)
    for axes, probe in zip(panels.flat, probes, strict=False):
        _block(axes, concept_probes, probe, words[probe], lines)
    return figure


def _lines(table: xr.Dataset) -> Lines:
    sites = table["site"].to_numpy().astype(str).tolist()[:MOST]
    heights: list[float] = []
    names: list[tuple[float, str]] = []
    at = 0.0
    for place, site in enumerate(sites):
        if not place or site != sites[place - 1]:
            names.append((at, site))
            at += 1
        heights.append(at)
        at += 1
    return Lines(list(range(len(sites))), heights, names)


def _title(axes: Axes, table: xr.Dataset, probe: int) -> None:
    sentence = _cut(str(table["sentence"].to_numpy()[probe]), "sentence")
    axes.set_title(f"“{sentence}”", loc="left", size=8.5, parse_math=False, pad=16)
    axes.set_xticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label(axes: Axes, table: xr.Dataset, lines: Lines | None) -> None:
    """Names of the sites and dictionaries, left of the first block of a row."""
    if lines is None:
        axes.set_yticks([])
        return
    names = [_cut(str(table["dictionary"].to_numpy()[place]), "name") for place in lines.places]
    axes.set_yticks([*lines.heights, *(at for at, _ in lines.sites)], [*names, *(site for _, site in lines.sites)])
    for number, label in enumerate(axes.get_yticklabels()):
        label.set(size=7, parse_math=False, color=theme.INK if number < len(names) else theme.FAINT)
    axes.tick_params(axis="both", length=0)


def _block(axes: Axes, table: xr.Dataset, probe: int, words: Sequence[int], lines: Lines) -> None:
    best = table.isel(probe=probe, rank=0)
    room = 72 * theme.inches(axes)[0] / (FEATURE + axes.get_xlim()[1])
    for column, word in enumerate(words):
        name = _fitting(visible(str(best["text"].to_numpy()[word])), room - 3)
        _write(axes, column + (WIDE + NARROW) / 2, -0.95, name, theme.INK, SIZE)
    _write(axes, -FEATURE / 2, -0.95, "feature", theme.FAINT, SIZE)
    feature, activation, relative, high, below = (
        best[name].to_numpy() for name in ("feature", "activation", "relative", "control_high", "controls_below")
    )
    for place, at in zip(lines.places, lines.heights, strict=True):
        _write(axes, -FEATURE / 2, at, f"{feature[place]:,}" if feature[place] >= 0 else "–", theme.INK)
        for column, word in enumerate(words if feature[place] >= 0 else []):
            is_above = bool(below[place, word] >= table.attrs["above"])
            _shade(axes, column, at, WIDE, relative[place, word], outlined=is_above)
            _shade(axes, column + WIDE + 0.02, at, NARROW - 0.02, high[place, word])
            shown = f"{relative[place, word]:.2f}" if column else f"{activation[place, word]:.2g}"
            _write(axes, column + WIDE / 2, at, shown, theme.INK)


def _shade(axes: Axes, left: float, at: float, wide: float, share: float, *, outlined: bool = False) -> None:
    alpha = DARKEST * float(np.clip(np.nan_to_num(share), 0, 1))
    box = (left, at - 0.42), wide, 0.84
    axes.add_artist(Rectangle(*box, facecolor=theme.COLOURS["activation"], alpha=alpha, linewidth=0))
    edge, width = (theme.INK, 0.9) if outlined else ("#D8D8D8", 0.4)
    axes.add_artist(Rectangle(*box, fill=False, edgecolor=edge, linewidth=width, zorder=4 if outlined else 3))


def _write(axes: Axes, x: float, at: float, text: str, colour: str, size: float = 6.6) -> None:
    axes.text(x, at, text, ha="center", va="center_baseline", size=size, color=colour, parse_math=False, zorder=5)


def _legend(table: xr.Dataset) -> list[Patch]:
    said = (
        f"share of the activation on the first word; narrow: 95 % quantile on {table.attrs['controls']} words of the "
        "same frequency"
    )
    return [
        Patch(facecolor=theme.COLOURS["activation"], alpha=DARKEST, label=said),
        Patch(fill=False, edgecolor=theme.INK, linewidth=0.9, label="more than on 95 % of these words"),
    ]


def _notes(table: xr.Dataset, measured: np.ndarray, lines: Lines) -> list[str]:
    text, state = (table[name].to_numpy().astype(str) for name in ("text", "state"))
    left_out: dict[str, list[str]] = {}
    for word, why in zip(text[~measured].tolist(), state[~measured].tolist(), strict=True):
        if word:
            left_out.setdefault(why, []).append(visible(word))
    notes = ["On the first word stands the activation itself. Of a word of several tokens the largest one counts."]
    notes += [f"Left out, {why}: {', '.join(dict.fromkeys(words))}." for why, words in left_out.items()]
    if more := table.sizes["place"] - len(lines.places):
        notes.append(f"Not drawn: {theme.several(more, 'dictionary') if more == 1 else f'{more:,} dictionaries'}.")
    return notes


def _fitting(word: str, room: float) -> str:
    """As much of a word as fits into so many points."""
    shown = word
    while width(shown) > room and len(word) > 1:
        word = word[:-1]
        shown = f"{word}…"
    return shown


def _cut(text: str, what: str) -> str:
    shown, longest = visible(text), LONGEST[what]
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
