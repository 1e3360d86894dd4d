"""Pages of the report: templates, addresses from one page to another, and the folder they are written to."""

import json
import posixpath
import shutil
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from polysem.params.base import NEURONS
from polysem.report.catalogue import DOCUMENTS, ENTRIES
from polysem.report.gallery import Picture, Shown, in_words
from polysem.report.visible import visible

FOLDER = Path(__file__).parent
STYLES = ("page.css", "search.css", "sheet.css", "rubric.css")
"""Contexts look on the pages of the report as on the sheets."""
SCRIPTS = ("search.js", "sort.js", "chooser.js", "rubric.js")


class Site:
    """A static site below one folder. All addresses within it are relative, so that it opens from disk and can be moved
    as a whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_page(self, path: str, template: str, **context: Any) -> None:
        """Render a template to a page; `to(path)` in it is the address of another file of the site."""
        text = template_of(template).render(
            here=path,
            to=lambda target: address(path, target),
            documents=list(DOCUMENTS),
            entries={
                name: f"{address(path, f'pages/{entry.document}.html')}#{name}" for name, entry in ENTRIES.items()
            },
            preferred=preferred,
            rubric_of=rubric_path,
            **context,
        )
        self.write_file(path, text)

    def write_file(self, path: str, text: str) -> None:
        """A text file; nobody sees it before the site as a whole is put in its place."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")

    def write_static(self) -> None:
        """Style sheets and scripts."""
        for name, source in {**dict.fromkeys(STYLES, FOLDER), **dict.fromkeys(SCRIPTS, FOLDER / "scripts")}.items():
            self.write_file(f"pages/static/{name}", (source / name).read_text(encoding="utf-8"))

    def copy_figure(self, shown: Shown) -> None:
        """A figure, so that the site holds all that it shows."""
        target = self.root / "pages/figures" / shown.relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shown.source, target)


def template_of(name: str) -> Template:
    """A template of pages; text in it is escaped."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["in_json"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    environment.filters["in_words"] = in_words
    environment.filters["visible"] = visible
    return environment


def address(page: str, target: str) -> str:
    """The address of a file from a page of the site, both given from its root, quoted for HTML."""
    relative = posixpath.relpath(target or ".", posixpath.dirname(page) or ".")
    return quote(relative if target else f"{relative}/")


def rubric_path(model: str) -> str:
    """The page of the rubric sheet of a model."""
    return f"pages/rubric/{model}.html"


def preferred(picture: Picture) -> Shown:
    """The figure that is shown before anybody chooses: of an SAE, where there is one."""
    return next((one for one in picture.drawn if one.origin.dictionary != NEURONS), picture.drawn[0])


def script_json(value: Any) -> str:
    """JSON for a script element, in which no text of a user can end the element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
