"""The site of docs/: it builds without a warning, needs no other host, and nothing is missing in it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from polysem.params.spelling import read_yaml
from polysem.workflow.figures import all_figures

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ROOT / ".venv/docs"
LOADING = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""Attributes by which a page loads something."""


class Loaded(HTMLParser):
    """What a page loads, and the ids in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attrs):
        """See `HTMLParser`."""
        given = dict(attrs)
        if given.get("id"):
            self.ids.add(given["id"])
        if (address := given.get(LOADING.get(tag, ""))) and given.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(address)


def read(page: Path) -> Loaded:
    """What there is on a page."""
    parser = Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the site."""
    if not (LIBRARIES / "mkdocs").is_dir():
        pytest.skip("MkDocs is not installed (`make .venv/docs`)")
    folder = tmp_path_factory.mktemp("docs") / "site"
    settings = os.environ | {"PYTHONPATH": str(LIBRARIES), "NO_MKDOCS_2_WARNING": "true"}
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(call, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_another_host(site):
    pages = sorted(site.rglob("*.html"))
    found = {f"{page.relative_to(site)}: {one}" for page in pages for one in read(page).addresses if "//" in one}
    assert pages and not found
    styles = [file.read_text(encoding="utf-8") for file in site.rglob("*.css")]
    assert styles and not any("url(http" in text or "url(//" in text or "@import" in text for text in styles)


def test_every_figure_is_in_the_gallery(site):
    figures = {one.name for one in all_figures() if one.module.startswith("polysem.")}
    assert figures and figures <= read(site / "gallery.html").ids


def test_every_page_is_in_the_navigation_and_in_the_site(site):
    def files(entry):
        if isinstance(entry, str):
            return [entry]
        return [file for one in (entry.values() if isinstance(entry, dict) else entry) for file in files(one)]

    named = files(read_yaml(ROOT / "mkdocs.yml").plain()["nav"])
    there = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted(there)
    assert all((site / name).with_suffix(".html").is_file() for name in named)


def test_lists_and_tables_of_githubs_markdown_are_lists_and_tables_here(site):
    raw = re.compile(r"<(?:p|td)>(?:[-*] |\d+\. |\||```)|^(?:[-*] |\|)", re.MULTILINE)
    for page in sorted(site.rglob("*.html")):
        text = re.sub(r"<(pre|script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not raw.findall(text), page.name
    assert '<code>"&lt;|endoftext|&gt;"</code>' in (site / "params.html").read_text(encoding="utf-8")
    assert "<td><code>count</code></td>" in (site / "claims.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "labels/README.md"])
def test_links_of_pages_outside_of_docs_lead_to_files(name):
    page = ROOT / name
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    gone = [one for one in links if "//" not in one and not (page.parent / one).exists()]
    assert not gone
