"""The report's rubric sheet as a person uses it, opened from disk; here, as a process can drive one browser only."""

import json
import re

import pytest
from rubric_case import MODEL, RubricCase

from polysem.layout.place import Place
from polysem.layout.rubric import CRITERIA, read_scores
from polysem.report.rubric_page import read_sheet, write_sheet
from polysem.report.site import Site

from .conftest import expect

AUTHOR = "Ada </script> Ł 中"


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> RubricCase:
    return RubricCase(tmp_path_factory.mktemp("rubric"))


@pytest.fixture(scope="module")
def sheet(case) -> str:
    """The address of its page."""
    case.write()
    site = Site(case.root / "report")
    site.write_static()
    write_sheet(site, read_sheet(case.place))
    return (site.root / f"pages/rubric/{MODEL}.html").as_uri()


@pytest.fixture
def phone(open_page):
    return open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)


def choose(page, **points):
    for criterion, value in points.items():
        page.locator(f".item:visible fieldset[data-criterion={criterion}] label").nth(value).click()


def saved(page, folder):
    """What the button saves, put into the folder of scores."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save scores").click()
    path = folder / Place(MODEL).rubric / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_two_items_are_scored_on_a_phone_saved_and_read_by_the_table(case, sheet, phone, tmp_path):
    phone.goto(sheet)
    expect(phone.locator(".item:visible")).to_have_count(1)
    assert phone.locator("input:checked").count() == 0
    names = [item.get_attribute("data-item") for item in phone.locator(".item").all()]
    phone.locator("textarea:visible").fill('colours, <b>"mostly"</b>')
    choose(phone, confidence=2, activation_consistency=4, logit_consistency=1)
    expect(phone.locator(".lacks:visible")).to_have_text("One score is missing.")
    choose(phone, specificity=3)
    expect(phone.locator(".lacks:visible")).to_have_text("Scored.")
    phone.get_by_role("button", name="Next").click()
    phone.get_by_role("button", name="I find no explanation").click()
    phone.get_by_role("button", name="Next").click()
    choose(phone, confidence=1)
    expect(phone.locator("#progress")).to_have_text("2 of 10 scored")

    phone.get_by_role("button", name="Save scores").click()
    expect(phone.locator("#saved")).to_have_text("Write your name first: scores are kept by person.")
    phone.get_by_label("Your name").fill(AUTHOR)
    path = saved(phone, tmp_path)
    assert re.fullmatch(r"ada-script-l?-?[0-9a-f]{16}\.json", path.name)
    expect(phone.locator("#saved")).to_contain_text("2 of 10 items. 1 begun and not finished is not in it.")

    (scores,) = read_scores(Place(MODEL), tmp_path)
    assert scores.author == AUTHOR and [one.item for one in scores.scores] == names[:2]
    assert [one.points for one in scores.scores] == [[2, 4, 1, 3], [0, 0, 0, 0]]
    assert [one.explanation for one in scores.scores] == ['colours, <b>"mostly"</b>', ""]
    table = case.table([scores.values()])
    assert table["rater"].to_numpy().tolist() == [AUTHOR] and names == table["item"].to_numpy().tolist()
    assert table["total"].to_numpy()[0, :2].tolist() == [10, 0]
    assert float(table["rubric_rated_features"] + table["rubric_rated_neurons"]) == 2


def test_what_was_scored_is_there_when_the_page_is_opened_again(sheet, page, tmp_path):
    page.goto(sheet)
    page.get_by_role("button", name="Item 4", exact=True).click()
    page.locator("textarea:visible").fill("red")
    choose(page, confidence=3, activation_consistency=5, logit_consistency=0, specificity=2)
    page.get_by_label("Your name").fill("Bo")
    page.reload()
    expect(page.get_by_role("heading", name="Item 4 of 10")).to_be_visible()
    expect(page.locator("textarea:visible")).to_have_value("red")
    expect(page.locator("#progress")).to_have_text("1 of 10 scored")
    saved(page, tmp_path)
    (scores,) = read_scores(Place(MODEL), tmp_path)
    assert scores.author == "Bo" and scores.scores[0].points == [3, 5, 0, 2]
    page.get_by_role("button", name="Clear this item").click()
    expect(page.locator("#progress")).to_have_text("0 of 10 scored")
    page.get_by_role("button", name="Save scores").click()
    expect(page.locator("#saved")).to_have_text("No item has all of its scores yet.")


def test_the_keyboard_is_enough(sheet, page):
    page.goto(sheet)
    page.locator("textarea:visible").focus()
    page.keyboard.type("red")
    for most in CRITERIA.values():
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        for _ in range(most):
            page.keyboard.press("ArrowRight")
    expect(page.locator(".lacks:visible")).to_have_text("Scored.")
    chosen = [one.get_attribute("value") for one in page.locator("input:checked").all()]
    assert chosen == [str(most) for most in CRITERIA.values()]
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Item 2 of 10")).to_be_focused()


def test_points_need_an_explanation(sheet, page):
    page.goto(sheet)
    choose(page, confidence=1, activation_consistency=0, logit_consistency=0, specificity=0)
    expect(page.locator(".lacks:visible")).to_contain_text("write one, or give 0 throughout")
    expect(page.locator("#progress")).to_have_text("0 of 10 scored")


@pytest.mark.parametrize("kept", ["{", "null", "[]", '{"scores": 3, "at": "x", "author": {}}', '{"at": 99}'])
def test_what_else_a_browser_has_kept_is_not_taken(sheet, page, kept):
    page.goto(sheet)
    key = page.evaluate("Object.keys(localStorage).find((one) => one.startsWith('polysem-rubric-'))")
    page.evaluate("([key, kept]) => localStorage.setItem(key, kept)", [key, kept])
    page.reload()
    expect(page.locator(".item:visible")).to_have_count(1)
    expect(page.locator("#progress")).to_have_text("0 of 10 scored")
    assert page.get_by_label("Your name").input_value() == ""


def test_a_browser_that_keeps_nothing_says_so_and_saves_all_the_same(sheet, page, tmp_path):
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('none'); }")
    page.goto(sheet)
    expect(page.locator("#kept")).to_contain_text("save your scores before you close it")
    page.get_by_role("button", name="I find no explanation").click()
    page.get_by_label("Your name").fill("Ada")
    saved(page, tmp_path)
    assert len(read_scores(Place(MODEL), tmp_path)[0].scores) == 1


def test_two_names_that_look_alike_save_two_files(sheet, page, tmp_path):
    page.goto(sheet)
    page.get_by_role("button", name="I find no explanation").click()
    names = set()
    for author in ("Ada", "ada", "Ada!", "中", "文"):
        page.get_by_label("Your name").fill(author)
        path = saved(page, tmp_path)
        assert json.loads(path.read_text())["author"] == author
        names.add(path.name.lower())
    assert len(names) == 5


def test_without_scripts_all_items_are_there_and_the_page_says_what_is_missing(sheet, open_page):
    page = open_page(java_script_enabled=False)
    page.goto(sheet)
    assert page.locator(".item:visible").count() == 10
    assert page.locator("noscript").inner_text().startswith("This page keeps and saves scores by a script")
    assert page.locator("fieldset:visible, #saving:visible, #steps:visible").count() == 0


def test_no_token_runs(sheet, page):
    page.goto(sheet)
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.querySelectorAll('img, script:not([src])').length") == 0


def test_axe_finds_nothing_and_nothing_is_cut_off(sheet, page):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-playwright-python, which holds axe-core, is not installed; pip install axe-playwright-python",
    )
    for width in (1200, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(sheet)
            page.get_by_role("button", name="I find no explanation").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            sizes = page.evaluate(
                "[...document.querySelectorAll('.item:not([hidden]) .points label, .rubric button')]"
                ".filter((each) => each.offsetParent).map((each) => each.getBoundingClientRect().height)"
            )
            assert min(sizes) >= 44
            found = axe.Axe().run(page, options={"preload": False}).response["violations"]  # it may not fetch from disk
            assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
