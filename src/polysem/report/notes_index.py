"""The first page of an exported list of features, which leads to their sheets."""

from collections.abc import Sequence
from dataclasses import dataclass

from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.report.write_sheets import sheet_environment


@dataclass(frozen=True)
class Row:
    """A feature of the list."""

    place: Place
    number: int
    address: str
    """Of its sheet, from the page; '' if it has none."""
    said: FeatureAnnotations
    remark: str = ""
    """Why it has none."""


def notes_index(title: str, rows: Sequence[Row]) -> str:
    """The page as HTML, beside which `sheet.css` and `sheet.js` lie; all text in it is escaped."""
    return sheet_environment().get_template("notes_index.html.j2").render(title=title, rows=rows)
