"""Examples of a feature as HTML: tokens in their context, shaded by activation, or images."""

import codecs
import math
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from polysem.figures.parts.reading_direction import reads_from_the_right, stretches
from polysem.index.top_tokens import by_count, name_of_class
from polysem.models.vocabulary import Vocabulary
from polysem.report.visible import hexadecimal, joined, visible, visible_bytes

LEVELS = 9
LINES = 4
"""Widths of the line below a token, by its importance."""
NEAR = (12, 6)
"""Tokens before and after the activating one that are shown before the context is opened."""
SUBJECTS = 5
"""Tokens or images that stand for a feature in a list."""
WHITE = 255


class Example(NamedTuple):
    """One place in the corpus."""

    html: Markup
    token: Markup | None
    activation: str
    place: str
    text: str
    """What the model can be given again; '' for an image."""
    more: str = ""
    """`+n` of one that stands for n others."""


class Subjects(NamedTuple):
    """What a feature's top examples are about: to look at, and as strings for a search."""

    shown: Markup
    strings: list[str]


class TextContexts:
    """Contexts of a language model."""

    unit = "tokens"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def name(self, token: int) -> Markup:
        """A token that stands alone, apart from the text around it, whatever its direction."""
        if self.vocabulary.is_special(token):
            return Markup('<bdi class="token special">{}</bdi>').format(visible(self.vocabulary.text(token)))
        return Markup('<bdi class="token">{}</bdi>').format(visible_bytes(self.vocabulary.piece(token), alone=True))

    def subjects(self, tokens: NDArray[np.int32], sequences: NDArray[np.int64]) -> Subjects:
        """The tokens that most examples [example] are about, most frequent first."""
        ordered = by_count(tokens.tolist())[:SUBJECTS]
        shown = Markup(" ").join(self.name(token) for token in ordered)
        return Subjects(shown, [self.vocabulary.text(token) for token in ordered])

    def example(
        self,
        tokens: NDArray[np.int32],
        activations: NDArray[np.float32],
        offsets: NDArray[np.int64],
        maximum: float,
        sequence: int,
        importance: NDArray[np.float64] | None = None,
    ) -> Markup:
        """Tokens [offset] with their activations, the one at offset 0 marked; −1 is outside of the sequence. Where the
        importance [offset] of tokens is known (a share of 1, NaN where it is not), they are underlined accordingly.

        Those further away than `NEAR` stand in elements of the class `far`. Runs of letters that read from the right
        are isolated as a whole: their letters join and follow each other as they should, and the rest of the line stays
        where it is.
        """
        inside = np.flatnonzero(tokens >= 0)
        shares = None if importance is None else importance[inside].tolist()
        shown = self.decoded(tokens[inside].tolist())
        return context(shown, activations[inside].tolist(), offsets[inside].tolist(), maximum, shares)

    def decoded(self, tokens: Sequence[int]) -> list[tuple[Markup, str]]:
        """HTML and text of tokens that follow each other."""
        return _decoded([(self.vocabulary.piece(token), self.vocabulary.is_special(token)) for token in tokens])

    def plain(self, tokens: NDArray[np.int32]) -> str:
        """The text of tokens [offset], −1 outside of the sequence, without special tokens and parts of characters."""
        inside = [token for token in tokens.tolist() if token >= 0 and not self.vocabulary.is_special(token)]
        return b"".join(map(self.vocabulary.piece, inside)).decode("utf-8", errors="ignore")

    def place(self, sequence: int, position: int) -> str:
        """Where an example stands, in words."""
        return f"sequence {sequence}, position {position}"


class ImageContexts:
    """Images of a classifier, from its token store; what it boosts are classes."""

    unit = "images"

    def __init__(self, store: Path) -> None:
        from polysem.io.stores import open_store, read_array

        group = open_store(store)
        self._pixels = np.asarray(read_array(group, "pixels")[:])
        self._labels = np.asarray(read_array(group, "labels")[:])
        self._shape = (int(group.attrs["height"]), int(group.attrs["width"]))  # type: ignore[arg-type]
        self._images: dict[int, Markup] = {}

    def name(self, token: int) -> Markup:
        """A class."""
        return Markup('<bdi class="token">class {}</bdi>').format(token)

    def subjects(self, tokens: NDArray[np.int32], sequences: NDArray[np.int64]) -> Subjects:
        """The first images of the examples [example], and their classes, most frequent first."""
        shown = Markup(" ").join(self._image(number) for number in sequences[:SUBJECTS].tolist())
        return Subjects(
            shown, [name_of_class(label) for label in by_count(self._labels[sequences].tolist())[:SUBJECTS]]
        )

    def example(
        self,
        tokens: NDArray[np.int32],
        activations: NDArray[np.float32],
        offsets: NDArray[np.int64],
        maximum: float,
        sequence: int,
        importance: NDArray[np.float64] | None = None,
    ) -> Markup:
        """The image with this number; the other arguments are those of text."""
        return self._image(sequence)

    def plain(self, tokens: NDArray[np.int32]) -> str:
        """Nothing: an image is no text."""
        return ""

    def place(self, sequence: int, position: int) -> str:
        """Which image an example is, in words."""
        return f"image {sequence}, class {self._labels[sequence]}"

    def _image(self, number: int) -> Markup:
        if number not in self._images:
            self._images[number] = Markup(
                '<img class="pixels" src="{}" alt="image {} of class {}" width="{}" height="{}">'
            ).format(_png(self._pixels[number].reshape(self._shape)), number, self._labels[number], *self._shape[::-1])
        return self._images[number]


def context(
    tokens: Sequence[tuple[Markup, str]],
    activations: Sequence[float],
    offsets: Sequence[int],
    maximum: float,
    importance: Sequence[float] | None = None,
) -> Markup:
    """Decoded tokens with their activations and, where it is known, their importance, as `TextContexts.example` shows
    them."""
    shaded = [
        (_shaded(html, value, maximum, place == 0), text)
        for (html, text), value, place in zip(tokens, activations, offsets, strict=True)
    ]
    if importance is not None:
        shaded = [(_underlined(html, share), text) for (html, text), share in zip(shaded, importance, strict=True)]
    start = next((index for index, place in enumerate(offsets) if place >= -NEAR[0]), len(offsets))
    stop = next((index for index, place in enumerate(offsets) if place > NEAR[1]), len(offsets))
    near = _in_runs(shaded[start:stop])
    return joined([_far(_in_runs(shaded[:start])), near, _far(_in_runs(shaded[stop:]))])


def _png(pixels: NDArray[np.float32]) -> str:
    """Pixels [height, width] in [0, 1] as the address of a PNG that is its own content, ink dark on white."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(np.rint(WHITE * (1 - pixels)).astype(np.uint8)).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


def _decoded(tokens: Sequence[tuple[bytes, bool]]) -> list[tuple[Markup, str]]:
    """HTML and text of tokens in their order. A character that several tokens share stands with the one that completes
    it; the bytes before are shown as such."""
    decoded, pending = [], b""
    for piece, special in tokens:
        if special:
            shown = visible(piece.decode("utf-8", errors="replace"))
            decoded.append((Markup('<bdi class="special">{}</bdi>').format(shown), ""))
            pending = b""
            continue
        for before in (pending, b""):
            try:
                text, used = codecs.utf_8_decode(before + piece, "strict", False)
            except UnicodeDecodeError:
                continue
            pending = (before + piece)[used:]
            html = visible(text)
            if pending:
                html += hexadecimal(pending[-len(piece) :])
            break
        else:
            html, text, pending = visible_bytes(piece), piece.decode("utf-8", errors="ignore"), b""
        decoded.append((html, text))
    return decoded


def _shaded(html: Markup, activation: float, maximum: float, is_key: bool) -> Markup:
    if math.isnan(activation):
        shade = "unmeasured"
    elif activation > 0 and maximum > 0:
        shade = f"l{min(LEVELS, math.ceil(LEVELS * activation / maximum))}"
    elif not is_key:
        return html
    else:
        shade = "l0"
    tag = "mark" if is_key else "span"
    title = "" if math.isnan(activation) else f' title="{activation:.4g}"'
    return Markup(f'<{tag} class="{shade}"{title}>{html}</{tag}>')


def _underlined(html: Markup, importance: float) -> Markup:
    if math.isnan(importance) or importance <= 0:
        return html
    width = min(LINES, math.ceil(LINES * importance))
    return Markup(f'<span class="i{width}" title="importance {importance:.2f}">{html}</span>')


def _in_runs(tokens: list[tuple[Markup, str]]) -> Markup:
    """Tokens one after the other; what reads from the right is isolated from what stands around it."""
    if not any(reads_from_the_right(text) for _, text in tokens):
        return joined(html for html, _ in tokens)
    parts = []
    for run, is_turned in stretches([text for _, text in tokens]):
        html = joined(tokens[place][0] for place in run)
        parts.append(Markup(f'<bdi dir="rtl">{html}</bdi>') if is_turned else html)
    return joined(parts)


def _far(html: Markup) -> Markup:
    return Markup(f'<span class="far">{html}</span>') if html else html
