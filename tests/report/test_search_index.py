"""What the search box finds."""

import json

from polysem.layout.annotations import read_annotations
from polysem.layout.notes import write_note
from polysem.layout.place import Place
from polysem.report.features import read_features
from polysem.report.search_index import KINDS, METRICS, search_index

from .run_folder import SAE, SITE, RunFolder

ORIGIN = Place("toy", SITE, SAE)
NOW = "1" * 64


def features(study: RunFolder, *, sheets: bool = True):
    """The features of the dictionary, from the receipt of its sheets and what people said."""
    receipt = study.output / f"sheets/{ORIGIN.path}.json" if sheets else None
    return read_features(receipt, read_annotations(ORIGIN, study.folder).about_weights(NOW))


def rows(features):
    text = search_index([], features)
    assert text.startswith("window.polysemIndex = ") and text.endswith(";\n")
    index = json.loads(text.removeprefix("window.polysemIndex = ").removesuffix(";\n"))
    return [
        (KINDS[kind], name, words, index["folders"][folder] + file) for kind, name, words, folder, file in index["rows"]
    ]


def test_a_feature_is_found_by_label_token_and_id(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(17, [" moral", "مرحبا"])
    study.add_label(17, "moral of the story")
    study.add_label(17, "lesson", author="bob")
    study.add_sheet(4, [])
    dictionary, labelled, unlabelled = rows({ORIGIN: features(study)})
    assert dictionary[:2] == ("dictionary", ORIGIN.path)
    assert labelled[:2] == ("feature", "moral of the story; lesson")
    for word in (" moral", "مرحبا", SAE, "17"):
        assert word in labelled[2]
    assert labelled[3].startswith("sheets/") and labelled[3].endswith("/17.html")
    assert unlabelled[1] == f"{SAE} / 4"


def test_a_label_of_a_feature_without_a_sheet_leads_to_its_dictionary(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(4, [])
    study.add_label(4, "known")
    study.add_label(9, "hidden gem")
    found = features(study)
    assert [feature.number for feature in found] == [4, 9]
    name, address = rows({ORIGIN: found})[-1][1::2]
    assert name == "hidden gem"
    assert address.startswith("pages/models/toy/") and address.endswith(".html")


def test_text_of_a_user_ends_no_script(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(1, ["<!--"])
    study.add_label(1, "</script><script>")
    write_note(ORIGIN, 1, "</script>", NOW, star=True, comment="</script><b>", root=tmp_path)
    text = search_index([], {ORIGIN: features(study)})
    assert "</script><script>" in "".join(row[1] for row in rows({ORIGIN: features(study)})) and "<" not in text


def test_a_star_is_a_mark_before_the_name_and_comments_are_found(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(1, [" once"])
    study.add_sheet(2, [])
    write_note(ORIGIN, 1, "ann", NOW, star=True, label="openings", comment="compare the closings", root=tmp_path)
    write_note(ORIGIN, 2, "ann", "2" * 64, star=True, label="of old", comment="gone", root=tmp_path)
    _, starred, other = rows({ORIGIN: features(study)})
    assert starred[1] == "★ openings" and "compare the closings" in starred[2]
    assert other[1] == f"{SAE} / 2" and "gone" not in other[2]


def test_a_dictionary_without_sheets_is_found_with_its_labels(tmp_path):
    """Sheets of an earlier run, in which it had some, lie there still."""
    study = RunFolder(tmp_path)
    study.add_sheet(4, [])
    study.add_label(9, "hidden gem")
    (labelled,) = features(study, sheets=False)
    assert (labelled.number, labelled.page) == (9, "")


def test_a_metric_is_found_by_what_people_call_it_and_leads_to_the_comparison_of_its_site():
    numbers = {"neurons": {"L0": 9.0}, SAE: {"L0": 3.0, "never_active_share": 0.1, "odd": 1.0, "dead_share": None}}
    text = search_index([], {}, {"toy": {SITE: numbers, "model": {"L0": 1.0}, "known": {"a": {"L0": 2.0}}}})
    index = json.loads(text.removeprefix("window.polysemIndex = ").removesuffix(";\n"))
    found = [(KINDS[kind], name, words, index["folders"][at] + file) for kind, name, words, at, file in index["rows"]]
    page = f"pages/models/toy/{SITE}/index.html"
    assert found == [
        ("metric", METRICS["L0"], f"L0 toy/{SITE}", page),
        ("metric", METRICS["never_active_share"], f"never_active_share toy/{SITE}", page),
    ]
    assert "Dead features" in METRICS["never_active_share"] and "Fidelity" in METRICS["loss_recovered_zero"]
