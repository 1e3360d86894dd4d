"""Text that grows piece by piece and knows what every span of it is."""

from typing import NamedTuple

Span = tuple[int, int, str]
"""Start and end (half-open, in characters) and the tag."""


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
