"""Tokens as words in a figure: what cannot be seen is spelled out."""

from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font

LONGEST = 14
SPACE = {" ": "␣"}
NAMED = {"\n": "⏎", "\t": "⇥"}


@cache
def _font() -> FT2Font:
    return FT2Font(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"))


def shown(token: str) -> str:
    """A token with visible spaces and line ends; other invisible characters, and those that the figures' font lacks, as
    their code points; cut to 14 characters."""
    return _cut("".join(SPACE.get(character) or _visible(character) for character in token))


def shown_in_context(token: str) -> str:
    """As `shown`, for a token that stands in its text: spaces are spaces."""
    return _cut(visible(token))


def visible(text: str) -> str:
    """A text whose invisible characters, and those that the figures' font lacks, are their code points."""
    return "".join(" " if character == " " else _visible(character) for character in text)


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def _visible(character: str) -> str:
    if character in NAMED:
        return NAMED[character]
    if character.isprintable() and _font().get_char_index(ord(character)):
        return character
    return f"\\u{ord(character):04x}"
