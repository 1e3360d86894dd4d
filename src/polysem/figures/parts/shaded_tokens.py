"""Lines of tokens in a figure, each shaded by activation, with the key token of all lines in one column."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from polysem.figures.parts import theme
from polysem.figures.parts.reading_direction import stretches
from polysem.figures.parts.token_line import Line, legible
from polysem.figures.parts.token_words import shown_in_context

SIZE = 7.2
"""Points."""
FAMILY = ("DejaVu Sans",)
DARKEST = 0.8
"""Opacity of the shade of the largest activation; ink stays legible on it."""
TALL = 0.86
"""Height of a shade as a share of the line's."""
THICKEST = 0.3
"""Height of the thickest underline as a share of the line's; lines that have some need more room."""
KEY_COLUMN = 0.56
"""Where the key token begins, as a share of the width."""


def prepare(axes: Axes, rows: float) -> float:
    """Make the horizontal unit of laid-out axes a point, the vertical one a line; the width in points."""
    width = 72 * theme.inches(axes)[0]
    axes.set(xlim=(0, width), ylim=(rows - 0.5, -0.5))
    axes.axis("off")
    return width


def write(axes: Axes, row: float, shown: Line, start: float, stop: float) -> None:
    """Write as much of a line as fits between two places, in points; what does not is cut at the ends with an ellipsis.

    A run of tokens that read from the right stands in that order, so that it reads as it should, and every other token
    keeps its place. Characters are whole and long words shortened, as in `token_line.legible`.
    """
    shown = legible(shown)
    words = [shown_in_context(text) for text in shown.texts]
    widths = [width(word) for word in words]
    order = _visual_order(shown.texts)
    place = order.index(shown.key)
    left = start + KEY_COLUMN * (stop - start)
    effects = np.full(len(words), np.nan) if shown.effects is None else shown.effects
    tokens = [_Token(*of) for of in zip(words, widths, shown.shares.tolist(), effects.tolist(), strict=True)]
    _write_token(axes, row, left, tokens[shown.key], is_key=True)
    after = left + widths[shown.key]
    _write_run(axes, row, [tokens[t] for t in order[place + 1 :]], after, stop, 1)
    _write_run(axes, row, [tokens[t] for t in order[:place][::-1]], left, start, -1)


class _Token(NamedTuple):
    word: str
    width: float
    share: float
    effect: float


@lru_cache(maxsize=65_536)
def width(word: str) -> float:
    """Points that the word takes."""
    return float(text_to_path.get_text_width_height_descent(word, _font(), ismath=False)[0]) if word else 0.0


@lru_cache(maxsize=1)
def _font() -> FontProperties:
    return FontProperties(family=list(FAMILY), size=SIZE)


def _write_run(axes: Axes, row: float, tokens: list[_Token], at: float, limit: float, direction: int) -> None:
    """Tokens one after the other from `at` on, to the right (1) or to the left (−1), up to the limit."""
    room = width("…")
    for number, token in enumerate(tokens):
        left_over = (limit - at) * direction - token.width
        if left_over < (room if number + 1 < len(tokens) else 0):
            rest = _Token("…", room, math.nan, math.nan)
            _write_token(axes, row, at if direction > 0 else at - room, rest)
            return
        _write_token(axes, row, at if direction > 0 else at - token.width, token)
        at += direction * token.width


def _write_token(axes: Axes, row: float, left: float, token: _Token, *, is_key: bool = False) -> None:
    word, wide, share, effect = token
    if is_key or share > 0:
        style: Any = {"facecolor": theme.COLOURS["activation"], "alpha": DARKEST * min(1.0, share), "linewidth": 0}
        if share > 0:  # no add_patch, which looks for the limits of the axes again
            axes.add_artist(Rectangle((left, row - TALL / 2), wide, TALL, **style))
        if is_key:
            axes.add_artist(
                Rectangle((left, row - TALL / 2), wide, TALL, fill=False, edgecolor=theme.INK, linewidth=0.8, zorder=4)
            )
    if abs(effect) > 0:
        colour = theme.COLOURS["less_likely" if effect < 0 else "likelier"]
        tall = THICKEST * min(1.0, abs(effect))
        axes.add_artist(Rectangle((left, row + TALL / 2), wide, tall, facecolor=colour, linewidth=0, zorder=4))
    if word.strip():
        text = axes.text(
            left, row, word, size=SIZE, family=list(FAMILY), va="center_baseline", ha="left", parse_math=False, zorder=5
        )
        text.set_in_layout(False)


def _visual_order(texts: Sequence[str]) -> list[int]:
    """Tokens from left to right: stretches that read from the right are turned round."""
    return [place for run, is_turned in stretches(texts) for place in (reversed(run) if is_turned else run)]
