"""What the search box finds."""

import json

from polysem.layout.place import Place
from polysem.report.search_index import KINDS, read_features, search_index

from .run_folder import SAE, SITE, RunFolder

ORIGIN = Place("toy", SITE, SAE)


def rows(features):
    text = search_index([], features)
    assert text.startswith("window.polysemIndex = ") and text.endswith(";\n")
    index = json.loads(text.removeprefix("window.polysemIndex = ").removesuffix(";\n"))
    return [
        (KINDS[kind], name, words, index["folders"][folder] + file) for kind, name, words, folder, file in index["rows"]
    ]


def test_a_feature_is_found_by_label_token_and_id(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(17, ["moral of the story", "lesson"], [" moral", "مرحبا"])
    study.add_sheet(4, [], [])
    dictionary, labelled, unlabelled = rows(
        {ORIGIN: read_features(study.output / f"sheets/{ORIGIN.path}.json", tmp_path / "labels", ORIGIN)}
    )
    assert dictionary[:2] == ("dictionary", ORIGIN.path)
    assert labelled[:2] == ("feature", "moral of the story; lesson")
    for word in (" moral", "مرحبا", SAE, "17"):
        assert word in labelled[2]
    assert labelled[3].startswith("sheets/") and labelled[3].endswith("/17.html")
    assert unlabelled[1] == f"{SAE} / 4"


def test_a_label_of_a_feature_without_a_sheet_leads_to_its_dictionary(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(4, ["known"], [])
    study.write_file(f"labels/toy/{SITE}/{SAE}.csv", "feature,label,author,note\n4,known,ann,\n9,hidden gem,ann,\n")
    features = read_features(study.output / f"sheets/{ORIGIN.path}.json", tmp_path / "labels", ORIGIN)
    assert [feature.number for feature in features] == [4, 9]
    name, address = rows({ORIGIN: features})[-1][1::2]
    assert name == "hidden gem"
    assert address.startswith("pages/models/toy/") and address.endswith(".html")


def test_text_of_a_user_ends_no_script(tmp_path):
    study = RunFolder(tmp_path)
    study.add_sheet(1, ["</script><script>"], ["<!--"])
    text = search_index(
        [], {ORIGIN: read_features(study.output / f"sheets/{ORIGIN.path}.json", tmp_path / "labels", ORIGIN)}
    )
    assert "<" not in text


def test_a_dictionary_without_sheets_is_found_with_its_labels(tmp_path):
    """Sheets of an earlier run, in which it had some, lie there still."""
    study = RunFolder(tmp_path)
    study.add_sheet(4, [], [])
    study.write_file(f"labels/toy/{SITE}/{SAE}.csv", "feature,label,author,note\n9,hidden gem,ann,\n")
    (labelled,) = read_features(None, tmp_path / "labels", ORIGIN)
    assert (labelled.number, labelled.page) == (9, "")
