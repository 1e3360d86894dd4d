"""U1 in a browser: what somebody does on the search page, and what they see."""

import re
from urllib.parse import urlencode

import pytest
from explorer_server import Served

from .conftest import SAE, expect

TEXT = "Once upon a time there was a little girl."
QUERY = "/?text=Once+upon+a+time+there+was+a+little+girl."


@pytest.fixture
def found(page, address):
    """The page of a search among all features."""
    page.goto(f"{address}{QUERY}&density=1")
    return page


def numbers(page):
    """What the results are sorted by."""
    texts = page.locator(".results .numbers b").all_text_contents()
    return [float(text.split()[0].replace(",", "")) for text in texts]


def test_a_search_shows_features_by_their_activation_and_the_address_says_it(page, address):
    page.goto(address)
    page.get_by_label("A text").fill(TEXT)
    page.get_by_label("Hide what is active on more than").select_option("nothing hidden")
    page.get_by_role("button", name="Search").click()
    results = page.locator(".results > li")
    expect(results).to_have_count(25)
    shown = numbers(page)
    assert shown == sorted(shown, reverse=True) and shown[-1] > 0
    expect(page).to_have_url(f"{address}/?density=1&text=Once+upon+a+time+there+was+a+little+girl.")
    expect(page.get_by_role("status")).to_contain_text("25 features and neurons")
    assert results.first.locator("mark").count() == 2  # in the text and in the top example
    first = page.locator(".results h2 a").first.inner_text()
    page.reload()
    expect(page.locator(".results h2 a").first).to_have_text(first)


def test_what_is_active_everywhere_is_hidden_until_somebody_wants_it(page, address):
    page.goto(f"{address}{QUERY}")
    expect(page.locator("[data-say]")).to_contain_text("active on more than 1 % of tokens is hidden")
    hidden = page.locator(".results > li").count()
    page.get_by_role("link", name="Show these, too").click()
    expect(page.locator(".results > li")).to_have_count(25)
    assert hidden < 25


def test_filters_leave_neurons_or_one_dictionary(found):
    found.get_by_role("combobox", name="Of", exact=True).select_option("neurons")
    expect(found.locator("[data-say]")).to_contain_text("25 neurons")
    assert all(text.startswith("neuron ") for text in found.locator(".results h2 a").all_text_contents())
    found.get_by_role("combobox", name="Of", exact=True).select_option("features and neurons")
    found.get_by_text("Dictionaries: all").click()
    found.get_by_label("l1-x4").check()
    expect(found.get_by_text("Dictionaries: 1")).to_be_visible()
    expect(found.locator("[data-say]")).to_contain_text("features and neurons")
    where = found.locator(".results .where")
    expect(where.first).to_contain_text("l1-x4")
    assert all("l1-x4" in text for text in where.all_text_contents())


def test_a_chosen_token_sorts_and_another_joins_it(found):
    tokens = found.locator(".tokens input")
    tokens.nth(2).check(force=True)
    expect(found.locator("[data-say]")).to_contain_text("on the chosen tokens")
    chosen = found.locator(".tokens label").nth(2).inner_text()
    assert set(found.locator(".token-of .token").all_inner_texts()) == {chosen}
    found.locator(".tokens input").nth(4).check(force=True)
    expect(found).to_have_url(re.compile("tokens=2&tokens=4"))
    found.get_by_role("link", name="all tokens").click()
    expect(found.locator("[data-say]")).to_contain_text("on any token but BOS")
    assert found.locator(".tokens input:checked").count() == 0


@pytest.mark.parametrize("scale", ["share", "quantile", "surprise"])
def test_features_are_ranked_on_every_scale(found, scale):
    found.get_by_label("Rank by").select_option(scale)
    expect(found).to_have_url(re.compile(f"scale={scale}"))
    expect(found.locator("#answer")).to_have_attribute("aria-busy", "false")
    shown = numbers(found)
    assert len(shown) == 25 and shown == sorted(shown, reverse=True)


def test_the_back_button_brings_back_the_search_before(found):
    first = found.locator(".results h2 a").first.inner_text()
    found.get_by_role("combobox", name="Of", exact=True).select_option("neurons")
    expect(found.locator("[data-say]")).to_contain_text("25 neurons")
    found.go_back()
    expect(found.locator(".results h2 a").first).to_have_text(first)
    expect(found.get_by_role("combobox", name="Of", exact=True)).to_have_value("all")


def test_another_text_forgets_the_tokens_of_the_one_before(found):
    found.locator(".tokens input").nth(2).check(force=True)
    expect(found).to_have_url(re.compile("tokens=2"))
    found.get_by_label("A text").fill("He was sad.")
    found.get_by_label("A text").press("Enter")
    expect(found).to_have_url(re.compile(r"\?(?!.*tokens).*sad"))


def test_a_first_visit_has_texts_to_begin_with(page, address):
    page.goto(address)
    page.get_by_role("link", name="My favorite color is red.").click()
    expect(page.get_by_label("A text")).to_have_value("My favorite color is red.")
    expect(page.locator("[data-say]")).to_be_visible()
    page.get_by_role("link", name="I’m feeling lucky").click()
    expect(page.get_by_label("A text")).not_to_have_value("My favorite color is red.")
    expect(page.get_by_label("A text")).to_have_value(re.compile("[a-z]"))
    expect(page.locator("[name=tokens]").first).to_be_visible()  # some feature's example, cut out of its document


def test_a_text_that_is_too_long_is_refused_in_a_sentence(page, address):
    answer = page.request.get(f"{address}/?text={'a' * 801}")
    assert answer.status == 400
    assert "search.text: the text has 801 characters, and 800 are allowed" in answer.text()


def test_without_scripts_a_search_is_a_form_like_any_other(open_page, address):
    page = open_page(java_script_enabled=False)
    page.goto(address)
    page.get_by_label("A text").fill(TEXT)
    page.get_by_label("Hide what is active on more than").select_option("nothing hidden")
    page.get_by_role("button", name="Search").click()
    assert page.locator(".results > li").count() == 25
    page.locator(".tokens input").nth(2).check(force=True)
    page.get_by_role("button", name="Sort").click()
    assert "on the chosen tokens" in page.locator("[data-say]").inner_text()
    page.locator(".results h2 a").first.click()
    assert page.locator("#tries textarea").input_value() == TEXT
    assert page.locator(".strongest").inner_text()


def test_the_keyboard_alone_suffices(page, address):
    page.goto(address)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.get_by_label("A text")).to_be_focused()
    page.keyboard.type(TEXT)
    page.keyboard.press("Enter")
    expect(page.locator("[data-say]")).to_be_visible()
    expect(page.get_by_label("A text")).to_have_value(TEXT)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "token-2":
            break
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("tokens=2"))
    expect(page.locator("#token-2")).to_be_focused()
    expect(page.locator("#token-2 + span .token")).to_have_css("outline-style", "solid")
    page.goto(f"{address}{SAE}/7")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/8")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/7")


def test_a_text_is_read_as_it_is_with_new_lines_at_its_ends(page, address):
    asked = {"text": "\n\nred ball\n", "density": 1}
    tokens = page.request.get(f"{address}/api/search", params={"model": "stories-1l", **asked}).json()["tokens"]
    assert tokens[1].startswith("\n") and tokens[-1] == "\n"
    page.goto(f"{address}/?{urlencode(asked)}")
    expect(page.locator("[name=tokens]")).to_have_count(len(tokens))
    expect(page.get_by_label("A text")).to_have_value(asked["text"])
    page.get_by_role("button", name="Search").click()
    expect(page.locator("[name=tokens]")).to_have_count(len(tokens))
    assert "text=%0A%0Ared+ball%0A" in page.url


def test_what_a_page_asks_for_beside_texts_stays_in_its_address(page, address):
    page.goto(f"{address}{SAE}/7?importance=true")
    page.get_by_role("textbox", name="Text 1").fill("a red ball")
    expect(page).to_have_url(re.compile(r"importance=true&text=a\+red\+ball$"))
    assert page.locator("a[rel=next]").get_attribute("href").endswith("text=a+red+ball")


def test_an_sae_that_was_added_is_among_those_to_browse(page, repository):
    path = repository / f"results/saes{SAE}"
    with Served(repository / "results", "--add", str(path), "--format", "saelens", folder=repository.folder) as served:
        served.ready()
        page.goto(f"http://{served.host}:{served.port}/browse")
        link = page.get_by_role("link", name="topk-x4-2")
        expect(link).to_have_attribute("href", f"{SAE}-2/0")
