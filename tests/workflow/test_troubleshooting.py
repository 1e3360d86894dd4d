"""docs/howto/troubleshooting.md quotes messages as polysem prints them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/howto/troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"```output\n(.+)\n```", TEXT)
SHARE = 0.15
"""Of a message, as much at least must be words of one text of the source; the rest is values."""


def texts(file: Path) -> Iterator[tuple[str, int]]:
    """The texts of a source as patterns, in which values stand for anything, with the number of their own letters."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [str(one.value) if isinstance(one, ast.Constant) else None for one in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [node.value]
        else:
            continue
        yield "".join(".+" if one is None else re.escape(one) for one in parts), sum(len(one or "") for one in parts)


@cache
def patterns() -> list[tuple[re.Pattern[str], int]]:
    """Those of all sources that have some words."""
    found = {one for file in (ROOT / "src/polysem").rglob("*.py") for one in texts(file)}
    return [(re.compile(text), own) for text, own in sorted(found) if own >= 12 and " " in text]


def share_of_the_source(message: str) -> float:
    """How much of a message is words of the text that has most of it."""
    return max((own for pattern, own in patterns() if pattern.search(message)), default=0) / len(message)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_stands_in_the_source(message):
    assert share_of_the_source(message.removeprefix("error: ")) >= SHARE


def test_a_message_with_other_words_does_not():
    (message,) = (one for one in MESSAGES if "is no YAML file" in one)
    assert share_of_the_source(message.replace("is no YAML file", "holds no YAML")) < SHARE


def test_there_are_fifteen_messages_at_least_and_none_twice():
    assert len(MESSAGES) == len(set(MESSAGES)) >= 15
