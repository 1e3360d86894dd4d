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


def test_figures_are_dark_on_dark_pages_and_scroll_at_a_legible_size_on_narrow_ones(page, chapter):
    image = page.locator('[data-figure="rank_frequency"] img')
    page.set_viewport_size({"width": 390, "height": 844})
    filters = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(chapter)
        filters[scheme] = image.evaluate("image => getComputedStyle(image).filter")
    assert filters == {"light": "none", "dark": "invert(0.91) hue-rotate(180deg)"}
    assert image.evaluate("image => image.width") >= 600
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator('[data-figure="rank_frequency"] .card').evaluate("card => card.scrollWidth > card.clientWidth")


def test_the_report_in_one_file_opens_from_another_folder_without_anything_else(page, finished, tmp_path):
    run, mail = finished.copy(tmp_path / "run"), tmp_path / "elsewhere/mail.html"
    assert run.polysem("report", "--one-file", str(mail)).startswith(f"written: {mail}, ")
    run.edit("params.yaml", "    k: 8", "    k: 9")
    said = run.polysem("report", "--one-file", str(mail), fails=True)
    assert "results/report/index.html is not what params.yaml gives now; run `snakemake" in said
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(mail.as_uri())
    images = page.locator("img")
    assert images.count() > 30
    for image in images.all():
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
    assert {url for url in asked if not url.startswith("data:image/svg+xml,")} == {mail.as_uri()}
    page.get_by_role("link", name="S2", exact=True).click()
    expect(page.locator("#part-S2")).to_be_in_viewport()
    page.locator("#part-S2 th button").first.click()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
