"""How the objects of a study show themselves in a notebook: HTML without a network, in which text is only text."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

HEIGHT = 640
"""Pixels of a sheet in a notebook."""
LINK = re.compile(r'(<a\b[^>]*?) href="(?!#)[^"]*"')
"""A link to another page; attributes of the sheets' templates are quoted, and text in them is escaped."""
PARTS = re.compile(r'<link rel="stylesheet" href="[^"]*">|<script src="[^"]*" defer></script>')
"""Styles and scripts that lie elsewhere; a sheet has none within."""


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A table with a heading; everything in it is escaped."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    below = f"<p><em>{escape(note)}</em></p>" if note else ""
    shown = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p><strong>{escape(title)}</strong></p>{shown}{below}"


def fact_table(title: str, facts: Mapping[str, Any]) -> str:
    """Names and values below a heading."""
    return table(title, ("", ""), facts.items())


def framed(page: str) -> str:
    """A sheet of features in a frame of its own, without scripts and without links to pages that are not beside it."""
    style = (Path(__file__).parents[1] / "report/sheet.css").read_text(encoding="utf-8")
    alone = PARTS.sub("", LINK.sub(r"\1", page)).replace("</head>", f"<style>{style}</style></head>", 1)
    return f'<iframe sandbox srcdoc="{escape(alone)}" style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'
