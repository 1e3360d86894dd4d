"""Text that grows piece by piece and knows what every span of it is."""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

Span = tuple[int, int, str]
"""Start and end (half-open, in characters) and the tag."""


TAGS_TYPE = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("tag", pa.string())]))


class TaggedText(NamedTuple):
    """A finished document with its ground truth; spans are sorted by start, the longer first."""

    text: str
    spans: list[Span]


class Writer:
    """Appends pieces and records where their spans come to lie."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._spans: list[tuple[int, int, str]] = []
        self._open: list[tuple[int, str]] = []
        self.position = 0

    def add(self, text: str, spans: tuple[Span, ...] = ()) -> None:
        """Append `text`; `spans` count from its own beginning."""
        position = self.position
        for start, end, tag in spans:
            # The end is kept negative so that plain sorting puts the enclosing span first.
            self._spans.append((position + start, -position - end, tag))
        self._pieces.append(text)
        self.position = position + len(text)

    def open(self, tag: str) -> None:
        """Begin a span that ends with the next `close`; spans nest."""
        self._open.append((self.position, tag))

    def close(self) -> None:
        """End the span that was opened last."""
        start, tag = self._open.pop()
        self._spans.append((start, -self.position, tag))

    def finish(self) -> TaggedText:
        """The text with its spans; raises ValueError if a span is still open."""
        if self._open:
            raise ValueError(f"a span was opened and never closed: {self._open[-1][1]}")
        self._spans.sort()
        return TaggedText("".join(self._pieces), [(start, -end, tag) for start, end, tag in self._spans])


def tags_column(documents: Iterable[list[Span]]) -> pa.Array:
    """The column `tags` of a corpus from the spans of each document."""
    # Offsets go into flat arrays at once: as Python tuples the spans of a corpus would take gigabytes.
    starts, ends, tags, offsets = array("i"), array("i"), array("i"), array("i", [0])
    numbers: dict[str, int] = {}
    for spans in documents:
        for start, end, tag in spans:
            starts.append(start)
            ends.append(end)
            tags.append(numbers.setdefault(tag, len(numbers)))
        offsets.append(len(starts))
    names = pa.DictionaryArray.from_arrays(_int32(tags), pa.array(list(numbers), pa.string()))
    values = pa.StructArray.from_arrays(
        [_int32(starts), _int32(ends), names.cast(pa.string())], fields=list(TAGS_TYPE.value_type)
    )
    return pa.ListArray.from_arrays(_int32(offsets), values, type=TAGS_TYPE)


def _int32(values: array) -> pa.Array:
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])
