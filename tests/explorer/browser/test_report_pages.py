"""The report's pages, opened from disk: comparisons that can be shared, and the search box."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from .conftest import expect

SITE = "stories-1l/blocks.0.mlp.hook_post"
TOPK, L1 = f"{SITE}/topk-x4", f"{SITE}/l1-x4"


@pytest.fixture
def chapter(repository) -> str:
    """The address of a document's page."""
    return (repository / "results/report/pages/S0.html").as_uri()


def test_a_comparison_has_an_address_and_the_address_shows_it(page, chapter):
    page.goto(chapter)
    page.select_option("#dictionary", TOPK)
    page.select_option("#beside", L1)
    assert parse_qs(urlsplit(page.url).query) == {"show": [TOPK], "beside": [L1]}
    page.select_option("#beside", f"{SITE}/neurons")
    page.goto(f"{chapter}?show={quote(TOPK, safe='')}&beside={quote(L1, safe='')}#S0.F2")
    expect(page.locator("#dictionary")).to_have_value(TOPK)
    expect(page.locator("#beside")).to_have_value(L1)
    shown = page.locator('[data-figure="rank_frequency"] figcaption')
    expect(shown).to_have_text([TOPK, L1])
    page.goto(f"{chapter}?show=nobody&beside=either")
    expect(page.locator("#beside")).to_have_value("")


def test_the_same_on_both_sides_is_said_and_shown_once(page, chapter):
    page.goto(f"{chapter}?show={TOPK}&beside={L1}")
    expect(page.locator("#same")).to_be_hidden()
    page.select_option("#beside", TOPK)
    expect(page.locator("#same")).to_have_text("The same on both sides: each figure is shown once.")
    expect(page.locator('[data-figure="rank_frequency"] figcaption')).to_have_text([TOPK])


@pytest.mark.parametrize("of", ["pages/S0.html", f"sheets/{TOPK}/index.html", "case_studies/stories-1l/index.html"])
def test_a_slash_leads_to_the_search_box_which_knows_metrics(page, repository, of):
    page.goto((repository / "results/report" / of).as_uri())
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("dead features/")
    expect(page.locator("#search")).to_have_value("dead features/")
    page.keyboard.press("Backspace")
    found = page.locator("#found a", has_text=SITE)
    expect(found).to_contain_text(["Dead features: never active on eval tokens"])
    found.first.click()
    assert page.url.endswith(f"pages/models/{SITE}/index.html")


def test_a_sheet_has_the_search_box_and_finds_other_sheets(page, repository):
    sheets = repository / f"results/report/sheets/{TOPK}"
    first, *_, last = sorted(sheets.glob("[0-9]*.html"), key=lambda file: int(file.stem))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(first.as_uri())
    page.keyboard.press("/")
    page.keyboard.type(f"topk-x4 / {last.stem}")
    page.keyboard.press("Enter")
    page.wait_for_url(last.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
