"""The report of a real run."""

import re
from html import unescape
from urllib.parse import unquote

import pytest

from polysem.report.catalogue import DOCUMENTS, ENTRIES


def articles(page):
    """The text of every article by its id."""
    parts = re.split(r'<article id="([^"]+)">', page.read_text(encoding="utf-8"))[1:]
    return dict(zip(parts[::2], (part.partition("</article>")[0] for part in parts[1::2]), strict=True))


@pytest.mark.workflow
def test_every_catalogue_id_is_answered_or_said_not_to_be_with_the_reason(whole):
    found = {}
    for document in DOCUMENTS:
        found |= articles(whole / f"results/report/pages/{document}.html")
    assert list(found) == list(ENTRIES)
    for identity, text in found.items():
        entry = ENTRIES[identity]
        stated = entry.absent in unescape(text)
        shown = "<img" in text or "<tbody>" in text or 'class="having"' in text
        assert shown or stated, identity
        assert entry.published in unescape(text)
    assert {"S0.F1", "S0.F2", "S2.F1", "S2.F3", "S2.T1"} <= {name for name, text in found.items() if "<img" in text}
    assert 'class="absent"' in found["S2.F9"]


@pytest.mark.workflow
def test_every_link_of_a_real_report_leads_to_a_file(whole):
    folder = whole / "results/report"
    pages = [folder / "index.html", *(folder / "pages").rglob("*.html")]
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'(?:href|src)="(?:https?:)?//', text)
        for address in re.findall(r'(?:href|src)="([^"#]+)', text):
            assert (page.parent / unquote(unescape(address))).exists(), f"{page}: {address}"
