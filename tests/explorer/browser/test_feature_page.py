"""U2, S3.U1 and U3 in a browser: what somebody does on the page of a feature."""

import json
import re
import shlex

import pytest

from polysem.io.tables import read_table

from .conftest import SAE, expect, open_by

NEURON = "/stories-1l/blocks.0.mlp.hook_post/neurons"


@pytest.fixture
def active(page, address):
    """The page of a feature that is active on many tokens; its number is `active.number`."""
    page.goto(f"{address}{SAE}?sort=frequency")
    page.locator("tbody th a").first.click()
    page.wait_for_url(re.compile(r"/\d+$"))
    return page


def activation(item):
    """The number that stands below a text that is tried."""
    return float(item.locator(".strongest").inner_text().split()[0])


def test_an_example_is_copied_and_a_changed_word_is_shaded_at_once(active):
    example = active.locator(".contexts li").first
    text = example.locator("summary").inner_text()
    example.get_by_role("link", name="copy").click()
    box = active.get_by_role("textbox", name="Text 1")
    expect(box).to_be_focused()
    shown = active.locator(".tries li").first
    expect(shown.locator(".strongest")).to_contain_text("of its largest activation")
    copied, before = box.input_value(), activation(shown)
    assert re.sub(r"\W", "", text[5:15]) in re.sub(r"\W", "", copied) and before > 0
    box.fill("zzz")
    expect(shown.locator(".text")).to_contain_text("zzz")
    box.fill(copied)
    expect(shown.locator(".strongest")).to_contain_text(f"{before:.4g}"[:4])
    assert shown.locator("mark").count() == 1
    active.reload()
    expect(active.get_by_role("textbox", name="Text 1")).to_have_value(copied)
    assert activation(active.locator(".tries li").first) == before


def test_texts_stand_side_by_side_and_go_again(active):
    active.get_by_role("textbox", name="Text 1").fill("He was sad.")
    active.get_by_role("button", name="Another text beside it").click()
    active.get_by_role("textbox", name="Text 2").fill("She was glad.")
    expect(active.locator(".tries .strongest, .tries .error")).to_have_count(2)
    one, other = (active.locator(".tries li").nth(place).bounding_box() for place in (0, 1))
    assert one["y"] == other["y"] and one["x"] < other["x"]
    assert active.url.endswith("?text=He+was+sad.&text=She+was+glad.")
    active.get_by_role("button", name="Remove text 1").click()
    expect(active.get_by_role("textbox", name="Text 1")).to_have_value("She was glad.")
    assert active.url.endswith("?text=She+was+glad.")


def test_of_answers_that_overtake_each_other_the_last_text_is_shown(active):
    held = []

    def answer(route):
        if "text=first" in route.request.url:
            held.append(route)
        else:
            route.continue_()

    active.route("**/tried?*", answer)
    box = active.get_by_role("textbox", name="Text 1")
    box.fill("first")
    active.wait_for_timeout(200)
    box.fill("second")
    expect(active.locator(".tries .text")).to_contain_text("second")
    assert held
    for route in held:
        route.fulfill(body="<p class='text'>first</p>", content_type="text/html")
    active.wait_for_timeout(200)
    assert "second" in active.locator(".tries .text").inner_text()


def test_every_neighbour_is_a_link_to_a_page(page, address):
    page.goto(f"{address}{SAE}/3")
    rows = page.locator(".tables tbody th[scope=row]")
    links = rows.locator("a")
    names = [text for text in rows.all_inner_texts() if text.startswith(("neuron", "feature"))]
    assert links.count() == len(names) > 10
    for link in (links.first, links.last):
        target = link.evaluate("each => each.href")
        assert page.request.get(target).ok
        assert target.rsplit("/", 1)[1] == link.inner_text().split()[1]
    assert {link.evaluate("each => each.href").rsplit("/", 2)[1] for link in links.all()} == {"neurons", "topk-x4"}


def test_twins_are_links_to_each_other(page, address, repository):
    table = read_table(repository / "results/tables/stories-1l/twins.nc")
    members = table["pair_first"][0], table["pair_second"][0]
    addresses = [
        f"/stories-1l/{table['place_site'].values[place]}/{table['place_dictionary'].values[place]}/{feature}"
        for place, feature in ((int(table["twin_place"][one]), int(table["twin_feature"][one])) for one in members)
    ]
    for here, there in (addresses, addresses[::-1]):
        page.goto(f"{address}{here}")
        twins = page.locator("#twins tbody a")
        assert there in [link.get_attribute("href") for link in twins.all()]
    page.goto(f"{address}{SAE}/3")
    assert page.locator("#examples").count() == 1 and page.locator("#twins").count() == 0


def test_clusters_are_tabs_that_keys_choose(page, address):
    page.goto(f"{address}{NEURON}?sort=frequency")
    for number in range(30):
        page.goto(f"{address}{NEURON}/{number}")
        if (tabs := page.get_by_role("tab")).count() > 1:
            break
    panels = page.locator("[role=tabpanel]")
    assert tabs.count() == panels.count() > 1
    assert panels.nth(0).is_visible() and not panels.nth(1).is_visible()
    tabs.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_be_focused()
    assert not panels.nth(0).is_visible() and panels.nth(1).is_visible()
    assert re.search(r"/\d+$", page.url)  # the arrow chose a tab, and led to no other neuron
    page.goto(f"{page.url}#cluster-2")
    expect(panels.nth(1)).to_be_visible()


def test_a_star_a_label_and_a_comment_stay(page, address, repository):
    page.goto(f"{address}{SAE}/11")
    page.get_by_role("button", name="Star").click()
    expect(page.get_by_role("button", name="Starred")).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Label or comment as Ada").click()
    page.get_by_label("What you call it").fill("beginnings")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".labels .label")).to_have_text("beginnings")
    page.get_by_label("A comment").fill("It likes first sentences.")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".comments")).to_contain_text("It likes first sentences.")
    page.reload()
    expect(page.get_by_role("button", name="Starred")).to_be_visible()
    expect(page.locator(".labels .label")).to_have_text("beginnings")
    (file,) = (repository / f"labels{SAE}").glob("11-ada-*.json")
    note = json.loads(file.read_text())
    assert note["star"] is True and note["label"] == "beginnings" and note["comments"][0]["text"].endswith("sentences.")
    page.goto(f"{address}{SAE}?only=starred")
    assert "11" in page.locator("tbody th").all_inner_texts()
    page.goto(f"{address}{SAE}/11")
    page.get_by_role("button", name="Starred").click()
    expect(page.get_by_role("button", name="Star", exact=True)).to_have_attribute("aria-pressed", "false")


def test_what_is_typed_and_not_saved_outlives_a_star_and_another_field(page, address):
    page.goto(f"{address}{SAE}/41")
    page.get_by_text("Label or comment as Ada").click()
    page.get_by_label("A comment").fill("half a sentence")
    page.get_by_role("button", name="Star").click()
    expect(page.get_by_role("button", name="Starred")).to_be_visible()
    expect(page.get_by_label("A comment")).to_have_value("half a sentence")
    page.get_by_label("What you call it").fill("openings")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".labels .label")).to_have_text("openings")
    expect(page.get_by_label("A comment")).to_have_value("half a sentence")


def test_a_page_that_was_opened_before_takes_no_label_away(open_page, address):
    first, second = open_page(), open_page()
    for page in (first, second):
        page.goto(f"{address}{SAE}/51")
        page.get_by_text("Label or comment as Ada").click()
    first.get_by_label("What you call it").fill("from the first")
    first.get_by_role("button", name="Save").click()
    expect(first.locator(".labels .label")).to_have_text("from the first")
    second.get_by_label("more about that").fill("from the second")
    second.get_by_role("button", name="Save").click()
    expect(second.locator(".labels .label")).to_have_text("from the first")
    expect(second.locator(".labels .note")).to_have_text("from the second")


def test_for_programs_a_feature_has_its_own_rows_and_nothing_of_others(page, address):
    found = page.request.get(f"{address}/api/feature{SAE}/11").json()
    assert found["feature"] == 11 and found["tables"]["examples"]["activation"]["dimensions"] == ["feature", "example"]
    named = {name: one["dimensions"] for variables in found["tables"].values() for name, one in variables.items()}
    assert all("feature" in dimensions or dimensions == [name] for name, dimensions in named.items())


def test_a_page_holds_eight_texts_and_says_so_of_more(page, address):
    texts = "&".join(["text=a"] * 8)
    assert page.request.get(f"{address}{SAE}/11?{texts}").ok
    refused = page.request.get(f"{address}{SAE}/11?{texts}&text=b")
    assert refused.status == 400 and "the address has 9 texts, and 8 stand side by side" in refused.text()


def test_a_list_is_exported_as_a_folder_that_opens_from_disk(page, address, repository, tmp_path):
    page.goto(f"{address}{SAE}/21")
    page.get_by_role("button", name="Star").click()
    expect(page.get_by_role("button", name="Starred")).to_be_visible()
    page.goto(f"{address}/notes?what=starred")
    page.get_by_role("link", name=re.compile("^Ada")).click()
    expect(page.locator("tbody th").filter(has_text="21")).to_be_visible()
    command = shlex.split(page.locator("code.command").inner_text())
    assert command == ["polysem", "notes", "export", "FOLDER", "--author", "Ada"]
    folder = tmp_path / "list"
    repository.polysem(*(str(folder) if part == "FOLDER" else part for part in command[1:]))
    page.goto(f"file://{folder}/index.html")
    page.get_by_role("link", name="21", exact=True).click()
    expect(page.get_by_role("heading", name="Feature 21")).to_be_visible()


def test_two_people_star_at_once_and_both_stars_stay(open_page, address, repository):
    with open_by(repository, "Björn") as other:
        pages = [open_page(), open_page()]
        for page, server in zip(pages, (address, other), strict=True):
            page.goto(f"{server}{SAE}/31")
        for page in pages:
            page.get_by_role("button", name="Star").click(no_wait_after=True)
        for page in pages:
            expect(page.get_by_role("button", name="Starred")).to_be_visible()
            page.reload()
            assert {"Ada", "Björn"} <= set(page.locator(".stars bdi").all_inner_texts())
    assert len(list((repository / f"labels{SAE}").glob("31-*.json"))) == 2
