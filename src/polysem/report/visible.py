"""Text of a corpus as HTML that shows every character and obeys none.

Such text is data, and may hold anything: markup, control characters, overrides of the reading direction that would
reorder the page. Here everything is escaped, and what has no look of its own is shown by a sign or by its name.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from polysem.models.signs import sign_of

NAMES = {
    "\u00a0": "NBSP", "\u00ad": "SHY", "\u061c": "ALM", "\u180e": "MVS", "\u200b": "ZWSP", "\u200c": "ZWNJ",
    "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u2028": "LSEP", "\u2029": "PSEP", "\u202a": "LRE",
    "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u202f": "NNBSP", "\u2060": "WJ",
    "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
}  # fmt: skip
"""Characters without a look of their own, by the abbreviations of the Unicode charts; others by their number."""
TITLES = {" ": "blank", "\n": "line feed"}
"""What signs are called; others by the number of the control character."""
DOTTED_CIRCLE = "◌"


def visible(text: str, *, alone: bool = False) -> Markup:
    """The text as HTML: escaped, with signs for control characters and names for characters without a look.

    In a text that stands `alone`, ordinary blanks are shown, too, and a combining mark at the start has a dotted circle
    to stand on; elsewhere it belongs to what stands before it.
    """
    return _visible(text, alone)


def visible_bytes(text: bytes, *, alone: bool = False) -> Markup:
    """As `visible`, for UTF-8 that may begin or end within a character: bytes of such parts are shown as hex digits."""
    parts = []
    while text:
        try:
            parts.append(visible(text.decode("utf-8"), alone=alone))
            break
        except UnicodeDecodeError as error:
            parts.append(visible(text[: error.start].decode("utf-8"), alone=alone))
            parts.append(hexadecimal(text[error.start : error.end]))
            text = text[error.end :]
    return joined(parts)


def joined(parts: Iterable[Markup]) -> Markup:
    """HTML one after the other. `Markup.join` would look at each part whether it is to be escaped."""
    return Markup("".join(parts))


def hexadecimal(part: bytes) -> Markup:
    """Bytes that are no character, as hex digits; apart from the text around them, whatever its direction."""
    return Markup('<bdi class="byte">{}</bdi>').format(part.hex(" ").upper())


@lru_cache(maxsize=262_144)
def _visible(text: str, alone: bool) -> Markup:
    circle = DOTTED_CIRCLE if alone and text and unicodedata.category(text[0]).startswith("M") else ""
    return joined([Markup(circle), *(_character(letter, alone) for letter in text)])


@lru_cache(maxsize=65_536)
def _character(letter: str, alone: bool) -> Markup:
    number = ord(letter)
    if letter == " " and not alone:
        return Markup(" ")
    if (sign := sign_of(letter)) is not None:
        return _sign(sign, TITLES.get(letter, f"control character {number}"))
    if letter in NAMES or unicodedata.category(letter) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}:
        name = unicodedata.name(letter, "no character" if unicodedata.category(letter) == "Cn" else "control character")
        return _sign(NAMES.get(letter, f"U+{number:04X}"), name.lower(), "name")
    return escape(letter)


def _sign(shown: str, title: str, kind: str = "sign") -> Markup:
    return Markup('<bdi class="{}" title="{}">{}</bdi>').format(kind, title, shown)
