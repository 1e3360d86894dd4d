"""The report in one file: what is in it, where its links lead, and that it needs nothing else."""

import re
from urllib.parse import unquote

import pytest

from polysem.io.errors import InputError
from polysem.report.catalogue import DOCUMENTS, ENTRIES
from polysem.report.one_file import one_file

from .run_folder import SAE, SITE, Page, RunFolder

HOSTILE = '</main></section><script>alert(1)</script>"&amp;\u202e'


@pytest.fixture
def study(tmp_path):
    return RunFolder(tmp_path)


def page_of(study) -> Page:
    """The file, read back."""
    study.write()
    path = study.folder / "mail.html"
    path.write_text(one_file(study.output), encoding="utf-8")
    return Page(path)


def test_the_front_page_the_documents_and_the_claims_are_in_the_file(study):
    page = page_of(study)
    said = page.words()
    for name in ("index.html", *(f"pages/{document}.html" for document in DOCUMENTS), "pages/claims.html"):
        content = study.page(name).path.read_text(encoding="utf-8")
        inner = re.search(r'<main id="content">(.*)</main>', content, re.DOTALL)[1]
        inner = re.sub(r'<details class="all">.*?</details>', "", inner, flags=re.DOTALL)
        (study.folder / "inner.html").write_text(inner, encoding="utf-8")
        assert Page(study.folder / "inner.html").words() in said, name
    assert "Pages of models and dictionaries, feature sheets, case studies and tables are not in it" in said


def test_links_lead_within_the_file_and_nothing_else_is_needed(study):
    study.add_sheet(3, [" once"])
    page = page_of(study)
    assert set(ENTRIES) <= page.ids()
    named = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(named) == len(set(named)), "an id stands there once"
    links = [one["href"] for one in page.all("a") if "href" in one]
    assert len(links) > len(ENTRIES) and all(link.startswith("#") and unquote(link[1:]) in page.ids() for link in links)
    assert any("href" not in one for one in page.all("a")), "what leads elsewhere is text"
    assert not page.all("link") and not any("src" in one for one in page.all("script"))
    assert not re.search(r'(?:src|href)="(?!data:|#)|url\(|@import|fetch\(', page.path.read_text(encoding="utf-8"))


def test_figures_are_in_the_file_as_they_were_drawn(study):
    drawn = {file.read_text() for file in (study.folder / "figures").rglob("*.svg")}
    shown = [unquote(one["src"].removeprefix("data:image/svg+xml,")) for one in page_of(study).all("img")]
    assert shown and set(shown) <= drawn
    assert any(f"toy/{SITE}/{SAE}" in one["alt"] for one in page_of(study).all("img"))


def test_text_of_others_stays_text(study):
    study.claims = [study.claim(statement=HOSTILE, note="<img onerror=x>")]
    page = page_of(study)
    assert HOSTILE in re.sub(r"\s+", " ", page.text)
    assert len(page.all("script")) == 1 and not any("onerror" in attributes for _, attributes in page.elements)


def test_the_same_report_gives_the_same_file_and_a_missing_page_is_named(study):
    study.write()
    assert one_file(study.output) == one_file(study.output)
    (study.output / "pages/claims.html").unlink()
    with pytest.raises(InputError, match=r"pages/claims\.html cannot be read .*; run snakemake first"):
        one_file(study.output)
