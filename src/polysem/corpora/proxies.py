"""Tags for real text, out of regular expressions: what looks like Arabic, code, … is taken for it."""

import re
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from polysem.corpora.tagged import Span, tags_column
from polysem.io.errors import InputError
from polysem.params.proxies import compiled_proxy
from polysem.params.time_limit import time_limit

PREFIX = "proxy:"
"""Stands before the name of a proxy in its tag, so that nobody takes it for the truth."""
SECONDS = 10.0
"""Processor time that all expressions together have for a document; the defaults need a small part of it."""
CHARACTERS_PER_SECOND = 100_000
"""Longer documents have more time: a second more for so many characters."""


def with_proxies(documents: pa.Table, proxies: Mapping[str, str]) -> pa.Table:
    """Documents with a column `tags` of what each expression matches; without expressions as they are.

    Raises InputError, naming expression and document, where a search does not end in time.
    """
    if not proxies:
        return documents
    compiled = {PREFIX + name: compiled_proxy(name, expression) for name, expression in proxies.items()}
    texts = (text for chunk in documents["text"].chunks for text in chunk.to_pylist())
    return documents.append_column("tags", tags_column(_all_spans(texts, compiled)))


def _all_spans(texts: Iterable[str], compiled: Mapping[str, re.Pattern[str]]) -> Iterator[list[Span]]:
    for number, text in enumerate(texts, start=1):
        begun: list[str] = []
        try:
            with time_limit(SECONDS + len(text) / CHARACTERS_PER_SECOND):
                spans = proxy_spans(text, compiled, begun)
        except TimeoutError:
            name = begun[-1].removeprefix(PREFIX)
            start = text[:40] + ("…" if len(text) > 40 else "")
            raise InputError(
                f"proxies: the expression of {name!r} does not come to an end in document {number:,} ({start!r}): it "
                f"took {SECONDS + len(text) / CHARACTERS_PER_SECOND:.0f} seconds for {len(text):,} characters. "
                "Expressions such as (a+)+ try every way to divide what they match; write a+, or the possessive (a++)+"
            ) from None
        yield spans


def proxy_spans(text: str, compiled: Mapping[str, re.Pattern[str]], begun: list[str] | None = None) -> list[Span]:
    """What the expressions match, sorted by start, the longer first; empty matches are none. The tags of the
    expressions that are begun are written into `begun`, one after the other."""
    found: list[Span] = []
    for tag, pattern in compiled.items():
        if begun is not None:
            begun.append(tag)
        found += [(*match.span(), tag) for match in _matches(pattern, text)]
    return sorted(found, key=lambda span: (span[0], -span[1], span[2]))


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    return (match for match in pattern.finditer(text) if match.end() > match.start())
