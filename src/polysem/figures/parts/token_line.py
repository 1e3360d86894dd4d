"""A line of tokens in a figure: which tokens stand in it, and as what."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BYTE = re.compile(rb"\\x([0-9a-f]{2})")
"""A byte that is no text by itself, as `polysem.tables.parts.words` spells it."""
LONG_WORD, REACH = re.compile(r"[!-~]{25,}"), 8
"""ASCII words that are shortened, and characters that stay on each side of the key token, or at the beginning."""


@dataclass(frozen=True)
class Line:
    """Tokens in their order; `shares` of the largest activation, NaN where it is not known."""

    texts: Sequence[str]
    shares: NDArray[np.float64]
    key: int
    effects: NDArray[np.float64] | None = None
    """How each token is underlined, from −1, made as unlikely as can be, to 1; NaN for no line."""


def line(
    texts: Sequence[str | None], activations: NDArray[np.float64], offsets: NDArray[np.int64], largest: float
) -> Line:
    """The tokens that are inside of the sequence (not None), out of texts and activations by offset."""
    tokens = [(text, place) for place, text in enumerate(texts) if text is not None]
    inside = [place for _, place in tokens]
    shares = activations[inside] / largest if largest > 0 else np.zeros(len(inside))
    return Line([text for text, _ in tokens], shares, inside.index(int(np.flatnonzero(offsets == 0)[0])))


def legible(shown: Line) -> Line:
    """The line as people read it: the bytes of a character are one token, with the largest of their shares and effects,
    and of a long ASCII word, such as base64, an ellipsis stands for what is far from the key token or, in other words,
    from the beginning."""
    characters = list(_characters(shown.texts))
    whole = _grouped(shown, characters, [_text(shown.texts[run.start : run.stop]) for run in characters])
    near = list(_near(whole))
    texts = [whole.texts[run.start] if is_kept else "…" for run, is_kept in near]
    return _grouped(whole, [run for run, _ in near], texts)


def _grouped(shown: Line, runs: Sequence[range], texts: Sequence[str]) -> Line:
    """One token for each run of tokens, with a text of its own."""
    key = next(place for place, run in enumerate(runs) if shown.key in run)
    effects = None if shown.effects is None else _strongest(shown.effects, runs)
    return Line(texts, _strongest(shown.shares, runs), key, effects)


def _strongest(values: NDArray[np.float64], runs: Sequence[range]) -> NDArray[np.float64]:
    """The value of each run that is furthest from 0; NaN where none is known."""
    known = [part[np.isfinite(part)] for part in (values[run.start : run.stop] for run in runs)]
    return np.array([part[np.argmax(np.abs(part))] if part.size else np.nan for part in known])


def _characters(texts: Sequence[str]) -> Iterator[range]:
    """Runs of tokens that end where a character ends; bytes that come to none stand alone."""
    place = 0
    while place < len(texts):
        stop = _end_of_character(texts, place)
        yield range(place, stop)
        place = stop


def _end_of_character(texts: Sequence[str], place: int) -> int:
    """Behind the last token of the characters that begin in a token; behind that token if they end in none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for stop in range(place, len(texts)):
            decoder.decode(_bytes(texts[stop]))
            if not decoder.getstate()[0]:
                return stop + 1
    except UnicodeDecodeError:
        pass
    return place + 1


def _bytes(text: str) -> bytes:
    return BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _text(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else b"".join(map(_bytes, parts)).decode()


def _near(shown: Line) -> Iterator[tuple[range, bool]]:
    """Tokens that are kept, each alone, and runs of those that an ellipsis stands for."""
    ends = np.cumsum([len(text) for text in shown.texts]).tolist()
    spans = list(zip([0, *ends], ends, strict=False))
    far = [False] * len(spans)
    for word in LONG_WORD.finditer("".join(shown.texts)):
        first, last = word.span()
        start, stop = spans[shown.key]
        here = (start - REACH, stop + REACH) if start < last and first < stop else (first, first + REACH)
        for place, (left, right) in enumerate(spans):
            far[place] |= first <= left and right <= last and (right <= here[0] or here[1] <= left)
    place = 0
    while place < len(far):
        stop = place + 1
        while far[place] and stop < len(far) and far[stop]:
            stop += 1
        yield range(place, stop), not far[place]
        place = stop
