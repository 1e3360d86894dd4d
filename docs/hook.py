"""A hook of MkDocs: pages are written for the Markdown of GitHub. MkDocs wants a blank line before lists and tables,
four blanks in front of what is in a list, and no backslash before a `|` in code."""

import re
from typing import Any

FENCE = re.compile(r" *(```|~~~)")
ITEM = re.compile(r"(?:[-*+]|\d+\.) ")
ROW = re.compile(r" *\|")
CODE = re.compile(r"(`+)(.+?)\1")
INDENTED = re.compile(r"^ {1,3}(?=\S)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page as MkDocs reads it."""
    lines: list[str] = []
    fenced = listed = several = False  # several: the item has more than a paragraph
    for line in markdown.split("\n"):
        before = lines[-1] if lines else ""
        if FENCE.match(line):
            fenced = not fenced
        elif fenced:
            pass
        elif ITEM.match(line):
            if before.strip() and (several or not listed):
                lines.append("")
            listed, several = True, False
        elif ROW.match(line):
            if before.strip() and not ROW.match(before):
                lines.append("")
            listed = listed and line.startswith(" ")
            line = CODE.sub(lambda code: code[0].replace("\\|", "|"), line)
        elif line[:1].strip() and (not before.strip() or line.startswith("#")):
            listed = False
        several = several or not line.strip()
        lines.append(INDENTED.sub("    ", line) if listed else line)
    return "\n".join(lines)
