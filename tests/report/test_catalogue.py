"""The list of catalogue ids, and which of them a run answers."""

import re
from pathlib import Path

import pytest

from polysem.layout.place import Place
from polysem.report.catalogue import ENTRIES, LATER, Setting, ids_in, natural
from polysem.report.chapters import Case, Run, read_chapters
from polysem.report.gallery import Picture, Shown
from polysem.report.ledger import Claim

OWED = [
    *(f"S0.{name}" for name in ("F1", "F2", "F3a", "F3b", "F3c", "F4", "T1", "X1", "X2", "X3")),
    *(f"S1.{name}" for name in ("M1", *(f"F{number}" for number in range(1, 12)), "X1", "X2", "X3")),
    *(f"S2.F{number}" for number in range(1, 15)),
    *(f"S2.{name}" for name in ("T1", "M1", "M2", "M3", "M4", "X1", "X2", "X3")),
    *(f"S3.{name}" for name in ("F1", "F2", "F3", "F4", "F5", "T1", "T2", "T3", "M1", "M2", "M3", "M4", "U1", "X1")),
    *(f"S4.{name}" for name in ("T1", "F1", "X1", "X2", "X3", "X4", "U1", "U2", "U3", "R1")),
]
SITE = "blocks.0.mlp.hook_post"
SAE, NEURONS = Place("toy", SITE, "l1"), Place("toy", SITE, "neurons")


def article(identity, **changes):
    values = {"origins": [NEURONS, SAE], "pictures": {}, "metrics": {}, "claims": [], "params": {}} | changes
    return next(one for chapter in read_chapters(Run(**values)) for one in chapter.articles if one.entry.id == identity)


def picture(name, catalogue, **reasons):
    shown = {
        origin: Shown(name, origin, Path(f"{name}.svg"), reason=reasons.get(origin.dictionary, ""))
        for origin in (NEURONS, SAE)
    }
    return {name: Picture(name, catalogue, "A title", (), shown)}


def test_the_catalogue_holds_every_id_that_is_owed_and_no_other():
    assert sorted(ENTRIES) == sorted(OWED)
    assert not {identity for identity, _ in LATER} & set(OWED)


def test_the_order_is_that_of_the_documents():
    assert list(ENTRIES) == sorted(OWED, key=natural)
    assert natural("S2.F2") < natural("S2.F10") < natural("S2.T1")


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_an_entry_says_what_was_published_what_shows_it_and_why_it_may_be_absent(entry):
    for text in (entry.title, entry.published, entry.shown, entry.absent):
        assert text == " ".join(text.split()) and len(text) > 5
    for text in (entry.published, entry.shown, entry.absent):
        assert re.search(r"[.?]$", text)


def test_every_figure_has_an_entry():
    from polysem.workflow.figures import all_figures

    figures = {figure.name: figure for figure in all_figures()}
    for figure in figures.values():
        assert set(ids_in(figure.catalogue)) <= set(ENTRIES), figure.name
    named = {name for entry in ENTRIES.values() for name in entry.figures}
    assert named <= figures.keys()


def test_options_of_entries_are_keys_of_recipes():
    from polysem.params.recipes.base import Recipe

    keys = {setting.key for entry in ENTRIES.values() for setting in entry.settings}
    assert keys <= set(Recipe.model_fields)
    for entry in ENTRIES.values():
        for setting in entry.settings:
            default = Recipe.model_fields[setting.key].default
            assert setting.key == "architecture" or not setting.chosen({setting.key: default})


@pytest.mark.parametrize(
    ("setting", "value", "chosen"),
    [
        (Setting("dead_features", on=("reinitialise",)), "reinitialise", True),
        (Setting("dead_features", on=("reinitialise",)), "none", False),
        (Setting("encoder_l1", off=0), 0.0, False),
        (Setting("encoder_l1", off=0), 0.1, True),
        (Setting("orthogonal_to"), None, False),
        (Setting("orthogonal_to"), "l1", True),
        (Setting("followed_features", off=[]), [], False),
    ],
)
def test_an_option_is_chosen_where_it_is_not_off(setting, value, chosen):
    assert setting.chosen({setting.key: value}) is chosen
    assert not setting.chosen({})


def test_an_id_is_answered_if_one_of_its_figures_is_drawn():
    assert article("S2.F4", pictures=picture("cosines", ("S2.F4",), neurons="no encoder")).answered
    missing = article("S2.F4", pictures=picture("cosines", ("S2.F4",), neurons="no encoder", l1="no cluster"))
    assert not missing.answered
    assert missing.reasons == {"no encoder": [NEURONS], "no cluster": [SAE]}
    assert not article("S2.F4").answered


def test_a_figure_of_two_ids_stands_at_both_and_one_that_an_entry_names_there_too():
    pictures = picture("both", ("S2.F4", "S2.F5")) | picture("ultra_low_frequency", ("S2.F3",))
    for identity, names in (("S2.F4", ["both"]), ("S2.F5", ["both"]), ("S1.F1", ["ultra_low_frequency"])):
        assert [one.name for one in article(identity, pictures=pictures).pictures] == names


def test_an_option_is_answered_by_a_recipe_and_not_by_numbers():
    metrics = {"toy": {SITE: {"l1": {"L0": 3.0, "loss_recovered_zero": 0.5}, "neurons": {"L0": 9.0}}}}
    absent = article("S2.X3", metrics=metrics, params={"saes": {"l1": {"tied": False}}})
    assert not absent.answered and not absent.numbers.rows
    there = article("S2.X3", metrics=metrics, params={"saes": {"l1": {"tied": True}}})
    assert there.answered and there.having == [SAE]
    assert list(there.numbers.rows) == [f"toy/{SITE}/neurons", f"toy/{SITE}/l1"]


def test_the_other_site_is_answered_where_a_model_has_it():
    site = Place("toy", "blocks.0.hook_mlp_out", "neurons")
    assert not article("S2.M4").answered
    assert article("S2.M4", origins=[site]).having == [site]


def test_sheets_labels_and_toys_answer_their_ids():
    assert article("S0.F4", sheets={SAE: 3}).having == [SAE]
    assert not article("S0.F4", sheets={SAE: 0}).answered
    assert article("S0.X2", labels={NEURONS: 1}).having == [NEURONS]
    toys = article("S1.X1", metrics={"superposed": {"known": {"topk": {"recovered_share": 0.5}}}})
    assert toys.answered and list(toys.numbers.rows) == ["superposed / topk"]


def test_the_metric_of_a_claim_is_shown_for_all_dictionaries_that_have_it():
    claim = Claim("S2.F4", "S2.F4", "", "", "97.5", "", "", "not run", "", "", "", "near_mean_share")
    metrics = {"toy": {SITE: {"l1": {"near_mean_share": 0.9}, "neurons": {"near_mean_share": None}}}}
    numbers = article("S2.F4", claims=[claim], metrics=metrics).numbers
    assert numbers.metrics == ["near_mean_share"]
    assert {row: [cell.text for cell in cells] for row, cells in numbers.rows.items()} == {f"toy/{SITE}/l1": ["0.9"]}


def test_case_studies_are_there_where_a_model_has_any():
    assert not article("S1.F11").answered
    assert article("S1.F11", cases={"toy": [Case("kind:dna", "case_studies/toy/1.html")]}).answered
