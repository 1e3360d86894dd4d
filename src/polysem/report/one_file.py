"""The report in one file: the front page, the documents and the claims, with all that they show, for a mail."""

import posixpath
from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

from polysem.io.errors import InputError
from polysem.report.catalogue import DOCUMENTS
from polysem.report.site import FOLDER, template_of

FRONT, CLAIMS = "index.html", "pages/claims.html"
PAGES = {FRONT: "Report"} | {f"pages/{document}.html": document for document in DOCUMENTS} | {CLAIMS: "Claims"}
"""What is in the file, by address from the root of the report, and what the bar calls it."""
STYLE, SCRIPT = FOLDER / "page.css", FOLDER / "scripts/sort.js"
VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
PLAIN = "!$()*+,/:;=?@[]^`{|} "
"""Characters that stand as they are in the address of an SVG within an attribute, as letters, digits and _.-~ do."""

Attributes = Sequence[tuple[str, str | None]]


def one_file(report: Path) -> str:
    """The pages `PAGES` of a finished report as one page that needs no other file.

    Links from one of them to another lead within the page; what leads elsewhere becomes plain text, which a sentence on
    top says. The same report gives the same bytes. Raises InputError for a page or figure that is missing.
    """
    return template_of("one_file.html.j2").render(
        style=STYLE.read_text(encoding="utf-8"),
        script=SCRIPT.read_text(encoding="utf-8"),
        bar={name: anchor(page) for page, name in PAGES.items()},
        parts={anchor(page): _Main(report, page).text for page in PAGES},
    )


def anchor(page: str) -> str:
    """The id under which a page stands in the file."""
    return f"part-{Path(page).stem}"


class _Main(HTMLParser):
    """What stands in the `main` element of a page, with figures within it and links within the file."""

    def __init__(self, report: Path, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self._report, self._page = report, page
        self._parts: list[str] = []
        self._is_within = False
        self._depth = 0
        """How deep within an element that is left out."""
        self.feed(_read(report / page))
        self.text = "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """See `HTMLParser`."""
        if tag == "main":
            self._is_within = True
            return
        if self._depth or _leads_elsewhere_alone(attrs):
            self._depth += tag not in VOID
            return
        changed = [(name, value) for name, value in (self._attribute(tag, *one) for one in attrs) if name]
        text = "".join(f" {name}" if value is None else f' {name}="{escape(value)}"' for name, value in changed)
        self._add(f"<{tag}{text}>")

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if tag == "main":
            self._is_within = False
        elif self._depth:
            self._depth -= 1
        else:
            self._add(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        self._add(data)

    def handle_entityref(self, name: str) -> None:
        """See `HTMLParser`."""
        self._add(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """See `HTMLParser`."""
        self._add(f"&#{name};")

    def _add(self, text: str) -> None:
        if self._is_within and not self._depth:
            self._parts.append(text)

    def _attribute(self, tag: str, name: str, value: str | None) -> tuple[str, str | None]:
        """An attribute as it is in the file; without a name if it is not."""
        if value is None or (tag, name) not in (("a", "href"), ("img", "src")):
            return name, value
        path, _, fragment = value.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(self._page), unquote(path)))
        if tag == "img":
            return name, _address(_read(self._report / target))
        if not path:
            target = self._page
        return (name, f"#{fragment or anchor(target)}") if target in PAGES else ("", None)


def _leads_elsewhere_alone(attributes: Attributes) -> bool:
    """Whether an element only lists links to figures that are not in the file."""
    return ("class", "all") in attributes


def _address(svg: str) -> str:
    """An SVG as an address. Shorter than base64, as it is mostly digits."""
    return f"data:image/svg+xml,{quote(svg, safe=PLAIN)}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); run snakemake first") from error
