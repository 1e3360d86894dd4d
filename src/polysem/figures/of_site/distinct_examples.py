"""S4.X3: how many of the top examples of features and of neurons are distinct."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.figures.registry import NotApplicable
from polysem.params.analysis import Analysis
from polysem.params.base import NEURONS

CATALOGUE = "S4.X3"
READS = ("diverse_examples",)
PARAMS = ()
TITLE = "How many of the top examples are distinct"
CAPTION = """\
The share of features with at most so many distinct ones among their top examples: different tokens; different tokens or
contexts, the few tokens in front; and examples that differ by their neuron embeddings (document S3), which is the
measure by which sheets choose what they show. A line that rises early is of a dictionary whose features repeat
themselves: at 1 all top examples of a feature are the same. Source: document S4, section "Suggested Improvement", which
found the 20 top examples often to be one token. Only features with all of their top examples count.
"""
PANELS = {
    "tokens_at_most": "different tokens",
    "contexts_at_most": "different tokens or contexts",
    "different_at_most": "different neuron embeddings",
}
NAMED = 4
"""Dictionaries whose numbers stand below the figure."""


@dataclass(frozen=True)
class Line:
    """How a dictionary is drawn."""

    colour: str
    style: dict[str, Any]


@theme.styled
def draw(diverse_examples: xr.Dataset, analysis: Analysis) -> Figure:
    """Staircases over the number of distinct examples, one per dictionary of a site; `diverse_examples` holds the
    tables of all of them, along `dictionary`."""
    table = diverse_examples
    panels = {name: words for name, words in PANELS.items() if name in table and np.isfinite(table[name]).any()}
    if not panels:
        raise NotApplicable("no feature of this site is active on as many tokens as top examples are kept")
    families = [str(family) for family in table["family"].to_numpy()]
    figure = theme.sheet(3.6)
    every = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, (name, words) in zip(every, panels.items(), strict=True):
        _draw(axes, table[name].to_numpy(), table["number"].to_numpy(), families)
        axes.set_xlabel(words)
    first: Axes = every[0]
    first.set_ylabel("features with at most so many, %")
    theme.frame(
        figure, table, title=TITLE, catalogue=CATALOGUE, legend=_legend(families), columns=5, notes=[_note(table)]
    )
    return figure


def _draw(axes: Axes, shares: np.ndarray, number: np.ndarray, families: list[str]) -> None:
    """Lines of all dictionaries [dictionary, number], the neurons on top."""
    for share, family in sorted(zip(shares, families, strict=True), key=lambda each: each[1] == NEURONS):
        line = _line(family, families)
        axes.step(number, 100 * share, where="post", color=line.colour, clip_on=False, **line.style)
    axes.set(xlim=(0, number[-1]), ylim=(0, 100))
    axes.grid(True, axis="both")


def _line(family: str, families: list[str]) -> Line:
    if family == NEURONS:
        return Line(theme.INK, {"linewidth": 1.8, "zorder": 4})
    recipes = list(dict.fromkeys(name for name in families if name != NEURONS))
    return Line(
        theme.FAMILIES[recipes.index(family) % len(theme.FAMILIES)], {"linewidth": 1.2, "alpha": 0.85, "zorder": 3}
    )


def _legend(families: list[str]) -> list[Line2D]:
    lines = {family: _line(family, families) for family in families}
    return [Line2D([], [], color=line.colour, label=family, **line.style) for family, line in lines.items()]


def _note(table: xr.Dataset) -> str:
    names = [str(name) for name in table["dictionary"].to_numpy()]
    top = table.attrs["top_examples"]
    words = [f"Of the {top} strongest tokens of each feature that is active on as many."]
    if "one_token_share" in table:
        order = sorted(range(len(names)), key=lambda place: names[place] != NEURONS)[:NAMED]
        each = [said for place in order if (said := _of_one_token(table, place, names[place]))]
        if each:
            words.append(f"All {top} are of one token: {'; '.join(each)}.")
    if "repeat_context" in table.attrs:
        words.append(
            f"A context is {table.attrs['repeat_context']} tokens; embeddings differ above a cosine distance of "
            f"{table.attrs['different_distance']:g}."
        )
    return " ".join(words)


def _of_one_token(table: xr.Dataset, place: int, name: str) -> str:
    """The share of a dictionary's features whose top examples are one token, and what the diverse ones make of it."""
    share, more = (float(table[key][place]) for key in ("one_token_share", "one_token_found_more_share"))
    if not np.isfinite(share):
        return ""
    others = f", {100 * more:.0f} % of these have others among their diverse examples" if np.isfinite(more) else ""
    return f"{100 * share:.2g} % of {name}{others}"
