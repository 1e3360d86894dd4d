"""S1.F10: the page of the rubric sheet: blind, and with everything that a person needs."""

import re
import unicodedata

import numpy as np
import pytest
from rubric_case import HOSTILE, MODEL, NAMES, SITES, WORDS, RubricCase, given, scores_of

from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.layout.rubric import CRITERIA
from polysem.report import rubric_page
from polysem.report.rubric_page import QUESTIONS, read_sheet, write_sheet
from polysem.report.site import Site

from .run_folder import Page, RunFolder


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> RubricCase:
    case = RubricCase(tmp_path_factory.mktemp("rubric"))
    case.write()
    return case


@pytest.fixture(scope="module")
def page(case) -> Page:
    site = Site(case.root / "report")
    write_sheet(site, read_sheet(case.place))
    return Page(site.root / f"pages/rubric/{MODEL}.html")


def items_of(page: Page) -> list[str]:
    source = page.path.read_text(encoding="utf-8")
    return re.findall(r'<section class="item".*?</section>', source, re.DOTALL)


def test_nothing_in_an_item_tells_what_it_is(case, page):
    table = case.table()
    items = items_of(page)
    assert len(items) == table.sizes["item"] == 10
    for number, (html, name) in enumerate(zip(items, table["item"].to_numpy().tolist(), strict=True)):
        of = table.isel(item=number)
        assert f'data-item="{name}"' in html
        told = html.replace(name, "").replace(WORDS[2].strip(), "")
        for word in (*NAMES, *SITES, "blocks", "hook", "sae", "dictionary", "neuron", "feature", "site", "frequency"):
            assert word not in told.lower(), word
        assert str(float(of["largest"]))[:5] not in told and f"{float(of['frequency']):.3g}" not in told
        shares = [float(share) for share in re.findall(r'class="l\d" title="([^"]+)"', html)]
        assert 0 < min(shares) < 0.3 and 0.8 < max(shares) <= 1


def test_the_same_examples_of_a_feature_and_of_a_neuron_make_the_same_item(case, monkeypatch, tmp_path):
    """Whatever is known of an item beside its name and what is shown: the page is the same to the byte."""
    table, site = case.table(), Site(tmp_path)
    text = []
    for kind, scale in (("feature", 1.0), ("neuron", 37.0)):
        changed = table.copy(deep=True)
        for name in ("site", "dictionary", "kind"):
            changed[name].values[:] = kind
        changed["feature"].values[:], changed["frequency"].values[:] = len(kind), scale / 100
        for name in ("largest", "shown_activation", "shown_window_activation"):
            changed[name] = (changed[name] * np.float32(scale)).assign_attrs(changed[name].attrs)
        place = Place(MODEL, root=str(tmp_path / kind))
        monkeypatch.setattr(Place, "tokenizer", case.place.tokenizer)
        path = rubric_page.Path(place.table("rubric"))
        path.parent.mkdir(parents=True)
        write_table(path, changed)
        write_sheet(site, read_sheet(place))
        text.append(re.sub(r'title="0\.\d+"', "", (tmp_path / f"pages/rubric/{MODEL}.html").read_text()))
    assert text[0] == text[1]


def test_an_item_shows_its_tokens_in_context_and_those_that_it_makes_likelier(case, page):
    table, html = case.table(), items_of(page)
    for number, one in enumerate(html):
        of = table.isel(item=number)
        assert one.count("<li ") == one.count("<mark ") == int((of["shown_interval"] >= 0).sum())
        assert one.count('<bdi class="token') == of.sizes["rank"]
        intervals = [int(low) // 20 for low in re.findall(r"<h3>(\d+) to \d+ % of its largest activation", one)]
        assert intervals == sorted(set(of["shown_interval"].to_numpy().tolist()) - {-1}, reverse=True)


def test_every_criterion_has_a_button_for_each_number_of_points_and_none_is_chosen(page):
    radios = [one for one in page.all("input") if one.get("type") == "radio"]
    assert len(radios) == 10 * sum(most + 1 for most in CRITERIA.values())
    assert not any("checked" in one for one in radios)
    names = {one["name"] for one in radios}
    assert names == {f"{criterion}-{number}" for criterion in CRITERIA for number in range(1, 11)}
    for name in names:
        most = CRITERIA[name.rpartition("-")[0]]
        assert [one["value"] for one in radios if one["name"] == name] == [str(value) for value in range(most + 1)]


def test_without_a_script_the_page_says_what_is_missing_and_shows_the_items(page):
    source = page.path.read_text(encoding="utf-8")
    assert "scripts are turned off here" in source.split("<noscript>")[1].split("</noscript>")[0]
    assert not re.findall(r"<section class=\"item\"[^>]* hidden", source)
    for part in ('<div class="scoring" hidden>', '<div id="steps" class="steps" hidden>', 'id="saving"'):
        assert part in source
    assert re.search(r'<section id="saving"[^>]* hidden>', source)


def test_no_token_becomes_markup(page):
    source = page.path.read_text(encoding="utf-8")
    assert {"src": "x"} not in [{"src": one.get("src")} for one in page.all("img")] and not page.all("img")
    assert all("src" in one for one in page.all("script"))
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not {letter for letter in source if unicodedata.category(letter) in ("Cf", "Cc") and letter != "\n"}
    for text in HOSTILE[:2]:
        assert text in page.text
    assert "RLO" in page.text and "␀" in page.text


def test_questions_that_score_files_do_not_hold_are_noticed(case, monkeypatch, tmp_path):
    monkeypatch.setattr(rubric_page, "QUESTIONS", QUESTIONS[:3])
    with pytest.raises(ValueError, match="the questions of the page are not those of"):
        write_sheet(Site(tmp_path), read_sheet(case.place))


def test_the_report_leads_to_the_sheet_from_its_model_and_from_its_entry(tmp_path):
    study, case = RunFolder(tmp_path), RubricCase(tmp_path)
    study.rubrics = [Place(MODEL)]
    table = case.write()
    study.write()
    sheet = study.output / f"pages/rubric/{MODEL}.html"
    assert table.attrs["sheet"] in sheet.read_text()
    for page in ("pages/models/toy/index.html", "pages/S1.html"):
        links = [one["href"] for one in study.page(page).all("a") if "rubric" in one.get("href", "")]
        (link,) = links
        assert (study.output / page).parent.joinpath(link).resolve() == sheet
    assert "Nobody has scored the rubric sheet" in study.page("pages/S1.html").words()
    linked = [one for kind, key in (("script", "src"), ("link", "href")) for one in Page(sheet).all(kind) if key in one]
    assert all((sheet.parent / (one.get("src") or one["href"])).is_file() for one in linked) and len(linked) == 7


def test_the_page_stays_the_same_whatever_people_scored(tmp_path):
    study, case = RunFolder(tmp_path), RubricCase(tmp_path)
    study.rubrics = [Place(MODEL)]
    name = case.write()["item"].to_numpy().tolist()[0]
    sheet = case.table().attrs["sheet"]
    study.write()
    before = (study.output / f"pages/rubric/{MODEL}.html").read_bytes()
    case.write([scores_of("Ada", sheet, given(name, 3, 5, 3, 3))])
    study.write()
    assert (study.output / f"pages/rubric/{MODEL}.html").read_bytes() == before


def test_a_model_without_a_sheet_has_no_page(tmp_path):
    study, case = RunFolder(tmp_path), RubricCase(tmp_path)
    case.analysis = case.analysis.model_copy(update={"rubric_features": 0})
    study.rubrics = [Place(MODEL)]
    case.write()
    study.write()
    assert not (study.output / "pages/rubric").exists()
    assert not [one for page in study.pages() for one in page.all("a") if "rubric" in one.get("href", "")]
