"""Labels of CSV files and notes together, held against the weights that there are."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from polysem.io.errors import InputError
from polysem.layout.annotations import Annotations, is_annotated, labels_in, read_annotations, weights_of
from polysem.layout.feature_labels import Label
from polysem.layout.notes import write_note
from polysem.layout.place import Place

PLACE = Place("m", "s", "topk")
NOW, BEFORE = "1" * 64, "2" * 64


@pytest.fixture
def root(tmp_path) -> Path:
    """Rows of a CSV file, and notes about two trainings."""
    file = tmp_path / PLACE.labels
    file.parent.mkdir(parents=True)
    file.write_text("feature,label,author,note\n3,dogs,Ada,\n3,pets,Bo,so\n5,names,Ada,\n")
    write_note(PLACE, 3, "Ada", NOW, star=True, label="puppies", comment="see 5", root=tmp_path)
    write_note(PLACE, 5, "Ada", BEFORE, star=True, label="places", root=tmp_path)
    write_note(PLACE, 8, "Bo", NOW, star=True, root=tmp_path)
    write_note(PLACE, 900, "Bo", BEFORE, comment="of a larger one", root=tmp_path)
    return tmp_path


def test_labels_of_notes_count_beside_rows_and_in_place_of_those_of_the_same_author(root):
    said = read_annotations(PLACE, root).about_weights(NOW, features=10)
    assert list(said) == [3, 5, 8, 900]
    assert said[3].labels == [Label("pets", "Bo", "so"), Label("puppies", "Ada", "")]
    assert said[3].label == "pets; puppies" and said[3].starred_by == ["Ada"]
    assert [(author, comment.text) for author, comment in said[3].comments] == [("Ada", "see 5")]
    assert said[8].starred_by == ["Bo"] and said[8].is_there and labels_in(said) == {3: "pets; puppies", 5: "names"}


def test_notes_about_another_training_are_no_labels_of_this_one(root):
    said = read_annotations(PLACE, root).about_weights(NOW)
    assert said[5].label == "names" and not said[5].starred_by
    assert [note.label for note in said[5].others] == ["places"]
    assert not said[900].is_there and len(said[900].others) == 1
    before = read_annotations(PLACE, root).about_weights(BEFORE)
    assert before[5].label == "places" and before[3].label == "dogs; pets" and before[900].is_there


def test_a_feature_that_there_is_not_is_refused_unless_it_is_of_another_training(root):
    annotations = read_annotations(PLACE, root)
    with pytest.raises(InputError, match=r"Bo says something of feature 8; the dictionary has 0 … 7"):
        annotations.about_weights(NOW, features=8)
    with pytest.raises(InputError, match=r"says something of feature 5; the dictionary has 0 … 3"):
        annotations.about_weights("3" * 64, features=4)


def test_the_same_label_of_two_people_is_shown_once(tmp_path):
    for author in ("Ada", "Bo"):
        write_note(PLACE, 3, author, NOW, label="dogs", root=tmp_path)
    said = read_annotations(PLACE, tmp_path).about_weights(NOW)
    assert said[3].label == "dogs" and len(said[3].labels) == 2


def test_only_labels_are_part_of_what_features_are_called(root):
    before = read_annotations(PLACE, root).calling
    write_note(PLACE, 3, "Ada", NOW, star=False, comment="more", root=root)
    write_note(PLACE, 7, "Zoe", NOW, star=True, comment="new", root=root)
    write_note(PLACE, 3, "Ada", NOW, note="small ones", label="puppies", root=root)
    assert read_annotations(PLACE, root).calling == before
    write_note(PLACE, 3, "Ada", NOW, label="kittens", root=root)
    assert read_annotations(PLACE, root).calling != before


def test_a_rule_passes_them_to_its_step_as_plain_values(root):
    annotations = read_annotations(PLACE, root)
    there = TypeAdapter(Annotations).validate_python(json.loads(json.dumps(annotations.values())))
    assert there == annotations and there.about_weights(NOW) == annotations.about_weights(NOW)


@pytest.mark.parametrize(
    "made_from", [{"sae_weights.safetensors": NOW, "cfg.json": BEFORE}, {"model.safetensors": NOW}]
)
def test_the_receipt_of_tables_tells_the_weights(tmp_path, made_from):
    receipt = tmp_path / "topk.json"
    receipt.write_text(json.dumps({"artifacts": {}, "made_from": made_from}))
    assert weights_of(receipt) == NOW


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"made_from": {"cfg.json": "1"}}', '{"made_from": 3}'])
def test_a_receipt_that_does_not_tell_the_weights_is_refused_only_where_there_are_notes(root, text):
    receipt = root / "topk.json"
    if text is not None:
        receipt.write_text(text)
    with pytest.raises(InputError, match=r"topk\.json does not tell which weights the tables are of"):
        read_annotations(PLACE, root).about(receipt)
    labels_alone = Annotations(labels=read_annotations(PLACE, root).labels)
    assert labels_alone.about(receipt)[5].label == "names"


def test_a_dictionary_is_annotated_by_rows_or_by_notes(root, tmp_path):
    other = PLACE.of("neurons")
    assert is_annotated(PLACE, root) and not is_annotated(other, root)
    write_note(other, 1, "Ada", NOW, star=True, root=root)
    assert is_annotated(other, root)
    write_note(other, 1, "Ada", NOW, star=False, root=root)
    assert not is_annotated(other, root)
