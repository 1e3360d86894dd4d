"""A hook of MkDocs: pages are written for GitHub's Markdown, and MkDocs wants a blank line before a list and four
blanks in front of what is in it."""

import re
from typing import Any

FENCE = re.compile(r" *(```|~~~)")
ITEM = re.compile(r"(?:[-*+]|\d+\.) ")
INDENTED = re.compile(r" {1,3}(?=\S)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page as MkDocs reads it."""
    lines: list[str] = []
    fenced = listed = False
    for line in markdown.split("\n"):
        blank_before = not lines or not lines[-1].strip()
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and ITEM.match(line):
            if not (listed or blank_before):
                lines.append("")
            listed = True
        elif not fenced and line[:1].strip() and (blank_before or line.startswith("#")):
            listed = False
        lines.append(INDENTED.sub("    ", line) if listed else line)
    return "\n".join(lines)
