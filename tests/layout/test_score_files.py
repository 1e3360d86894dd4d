"""Scores of people on rubric sheets: their files, and what cannot be one."""

import pytest
from rubric_case import MODEL, given, put, scores_of

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.layout.rubric import MOST, Scores, item_name, read_scores, require_known_items, sheet_name

PLACE = Place(MODEL)
ONE, OTHER = "0123456789abcdef", "fedcba9876543210"
SHEET, BEFORE = sheet_name([ONE, OTHER]), sheet_name([ONE])
GOOD = scores_of("Ada", SHEET, given(ONE, 3, 5, 3, 3), given(OTHER, 0, 0, 0, 0, explanation=""))


def test_a_file_is_read_by_author_and_sheet_whatever_it_is_called(tmp_path):
    assert read_scores(PLACE, tmp_path) == []
    put(tmp_path, "b (1).json", GOOD)
    put(tmp_path, "a.json", scores_of("Ada ", BEFORE, given("1" * 16, 1, 1, 1, 1)))
    put(tmp_path, ".hidden.json", "{")
    put(tmp_path, "readme.txt", "none")
    put(tmp_path, "z.json", scores_of("<b>Bo</b>", SHEET, given(ONE, 1, 2, 0, 1)))
    found = read_scores(PLACE, tmp_path)
    wanted = sorted([("<b>Bo</b>", SHEET), ("Ada", SHEET), ("Ada", BEFORE)])
    assert [(one.author, one.sheet) for one in found] == wanted
    assert Scores.model_validate(GOOD) in found
    assert [sum(one.points) for one in Scores.model_validate(GOOD).scores] == [MOST, 0] == [14, 0]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("{", ", line 1: "),
        ("[]", " holds list; the rubric sheet saves a JSON object"),
        ('{"model": "toy", "model": "toy"}', "the key 'model' stands there twice"),
        ('{"model": NaN}', "NaN is no value of JSON"),
        (GOOD | {"model": "../x"}, "has scores of the model '../x', and this is the folder of toy"),
        (GOOD | {"author": "  "}, ", author: the text is empty"),
        (GOOD | {"sheet": "abc"}, ", sheet: 'abc' is no sha256"),
        (GOOD | {"scores": []}, ", scores: found []"),
        (GOOD | {"autor": "x"}, ", autor: unknown key (did you mean 'author'?)"),
        ({key: value for key, value in GOOD.items() if key != "sheet"}, ", sheet: this key is missing"),
        (GOOD | {"scores": [given("../../x", 1, 1, 1, 1)]}, "'../../x' names no item"),
        (GOOD | {"scores": [given(ONE, 4, 5, 3, 3)]}, "scores.0.confidence: found 4"),
        (GOOD | {"scores": [given(ONE, 3, 6, 3, 3)]}, "scores.0.activation_consistency: found 6"),
        (GOOD | {"scores": [given(ONE, 3, 5, -1, 3)]}, "scores.0.logit_consistency: found -1"),
        (GOOD | {"scores": [given(ONE, 3, 5, 3, 2.5)]}, "scores.0.specificity: found 2.5"),
        (GOOD | {"scores": [given(ONE, True, 5, 3, 3)]}, "scores.0.confidence: found true"),
        (GOOD | {"scores": [given(ONE, None, 5, 3, 3)]}, "scores.0.confidence: found null"),
        (GOOD | {"scores": [given(ONE, 1, 0, 0, 0, explanation=" ")]}, "has points and no explanation"),
        (GOOD | {"scores": [given(ONE, 1, 0, 0, 0)] * 2}, f"Ada scores the item {ONE} twice, in ada.json;"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_scores_is_refused_with_its_name_and_key(tmp_path, values, problem):
    file = put(tmp_path, "ada.json", GOOD)
    assert len(read_scores(PLACE, tmp_path)) == 1
    put(tmp_path, "ada.json", values)
    with pytest.raises(InputError) as refused:
        read_scores(PLACE, tmp_path)
    assert file.name in str(refused.value) and problem in str(refused.value)


def test_a_link_and_a_file_that_is_too_large_are_refused(tmp_path):
    file = put(tmp_path, "ada.json", GOOD)
    link = file.with_name("link.json")
    link.symlink_to(file)
    with pytest.raises(InputError, match=r"link\.json is a link; score files are files of their own"):
        read_scores(PLACE, tmp_path)
    link.unlink()
    put(tmp_path, "ada.json", GOOD | {"author": "x" * 1_000_001})
    with pytest.raises(InputError, match=r"ada\.json has 1,000,\d+ bytes; a score file has at most 1,000,000"):
        read_scores(PLACE, tmp_path)


def test_one_person_s_two_files_may_not_both_score_an_item(tmp_path):
    put(tmp_path, "ada.json", GOOD)
    put(tmp_path, "ada (1).json", GOOD | {"sheet": BEFORE})
    with pytest.raises(InputError, match=rf"Ada scores the item {ONE} twice, in ada \(1\)\.json and in ada\.json"):
        read_scores(PLACE, tmp_path)


def test_an_unknown_item_is_refused_on_its_own_sheet_and_belongs_to_another_elsewhere():
    require_known_items([Scores.model_validate(GOOD)], BEFORE, [ONE], MODEL)
    require_known_items([Scores.model_validate(GOOD)], SHEET, [ONE, OTHER], MODEL)
    with pytest.raises(InputError, match=f"Ada scores the item {OTHER}, and the rubric sheet of toy has none"):
        require_known_items([Scores.model_validate(GOOD)], SHEET, [ONE], MODEL)


def test_an_item_is_named_by_its_dictionary_its_number_and_the_weights():
    place = Place(MODEL, "s", "sae")
    names = {
        item_name(place, 3, "0" * 64), item_name(place, 4, "0" * 64), item_name(place, 3, "1" * 64),
        item_name(place.of("neurons"), 3, "0" * 64),
    }  # fmt: skip
    assert len(names) == 4 and item_name(place, 3, "0" * 64) in names
    assert sheet_name(names) == sheet_name(sorted(names)) != sheet_name(list(names)[1:])
