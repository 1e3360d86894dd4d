"""Where everything lies."""

import pytest
from pydantic import TypeAdapter, ValidationError

from polysem.layout.place import ANY_DICTIONARY, DICTIONARY, Place, corpus, known_table

NEURONS = Place("tiny", "blocks.0.mlp.hook_post", "neurons")


def test_a_place_is_passed_to_a_step_by_its_names():
    assert NEURONS.values() == {"model": "tiny", "site": "blocks.0.mlp.hook_post", "dictionary": "neurons"}
    assert Place("tiny").values() == {"model": "tiny"}
    for place in (NEURONS, NEURONS.of(""), Place("tiny")):
        assert TypeAdapter(Place).validate_python(place.values()) == place


def test_patterns_are_the_paths_with_wildcards_in_the_place_of_names():
    pattern = DICTIONARY.table("tags").format(**NEURONS.values())
    assert pattern == NEURONS.table("tags") == "results/tables/tiny/blocks.0.mlp.hook_post/neurons/tags.nc"


def test_what_is_found_by_a_pattern_for_files_are_the_files_of_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = [place.figures.receipt for place in (NEURONS, NEURONS.of(""))]
    for file in (*drawn, NEURONS.figure("tags"), NEURONS.table("tags")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(ANY_DICTIONARY.figures.receipt)}
    assert found == set(drawn)


def test_another_root_stands_before_all_but_the_labels_of_people():
    place = Place("tiny", "site", "l1", root="elsewhere")
    assert place.sae.file("cfg.json") == "elsewhere/saes/tiny/site/l1/cfg.json"
    assert place.labels == "labels/tiny/site/l1.csv" and place.notes == "labels/tiny/site/l1"
    assert corpus("c", "elsewhere") == "elsewhere/corpora/c/documents.parquet"
    assert known_table("toy", "l1", "elsewhere") == "elsewhere/tables/toy/known/l1.nc"


@pytest.mark.parametrize("names", [("a/b",), ("a", ".."), ("a", "site", "../l1"), ("a", "", "l1")])
def test_names_that_are_no_folder_of_their_own_are_refused(names):
    with pytest.raises(ValueError):
        Place(*names)
    keys = dict(zip(("model", "site", "dictionary"), names, strict=False))
    with pytest.raises(ValidationError):
        TypeAdapter(Place).validate_python(keys)


def test_a_path_that_needs_a_name_which_the_place_lacks_is_refused():
    with pytest.raises(ValueError, match="name a site"):
        Place("tiny").activations("eval")
    with pytest.raises(ValueError, match="is no dictionary"):
        Place("tiny", "site").tables_receipt  # noqa: B018
