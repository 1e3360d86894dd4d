"""Tags for real text, out of regular expressions: what looks like Arabic, code, … is taken for it."""

import re
from collections.abc import Iterator, Mapping

import pyarrow as pa

from polysem.corpora.tagged import Span, tags_column
from polysem.params.proxies import compiled_proxy

PREFIX = "proxy:"
"""Stands before the name of a proxy in its tag, so that nobody takes it for the truth."""


def with_proxies(documents: pa.Table, proxies: Mapping[str, str]) -> pa.Table:
    """Documents with a column `tags` of what each expression matches; without expressions as they are."""
    if not proxies:
        return documents
    compiled = {PREFIX + name: compiled_proxy(name, expression) for name, expression in proxies.items()}
    texts = (text for chunk in documents["text"].chunks for text in chunk.to_pylist())
    return documents.append_column("tags", tags_column(proxy_spans(text, compiled) for text in texts))


def proxy_spans(text: str, compiled: Mapping[str, re.Pattern[str]]) -> list[Span]:
    """What the expressions match, sorted by start, the longer first; empty matches are none."""
    found = [(*match.span(), tag) for tag, pattern in compiled.items() for match in _matches(pattern, text)]
    return sorted(found, key=lambda span: (span[0], -span[1], span[2]))


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    return (match for match in pattern.finditer(text) if match.end() > match.start())
