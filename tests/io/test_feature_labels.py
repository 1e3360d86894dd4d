"""S0.X2: labels of features in files that people edit."""

from pathlib import Path

import pytest

from polysem.io.errors import InputError
from polysem.layout.feature_labels import Label, read_labels

HEADER = "feature,label,author,note\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels" / "topk.csv"


def written(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_labels_are_read_by_feature_and_several_people_may_label_one(file):
    written(file, f'{HEADER}7,"dogs, cats",Ada,\n3,Once upon a time,Ada,"says ""hello"",\nand more"\n7,pets, Bo ,ok\n')
    assert read_labels(file) == {
        7: [Label("dogs, cats", "Ada", ""), Label("pets", "Bo", "ok")],
        3: [Label("Once upon a time", "Ada", 'says "hello",\nand more')],
    }


def test_no_file_and_an_empty_one_hold_no_labels(file):
    assert read_labels(file) == {}
    assert read_labels(written(file, HEADER)) == {}


def test_columns_may_stand_in_any_order_and_a_spreadsheets_mark_and_line_ends_do_no_harm(file):
    written(file, b"\xef\xbb\xbfauthor,feature,note,label\r\nAda,2,,tr\xc3\xa8s bien\r\n\r\n")
    assert read_labels(file, 3) == {2: [Label("très bien", "Ada", "")]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the column 'feature' is missing"),
        ("feature;label;author;note\n", "line 1: unknown column 'feature;label;author;note'"),
        ("feature,label,autor,note\n", "line 1: unknown column 'autor'"),
        ("feature,label,author\n", "line 1: the column 'note' is missing"),
        ("feature,label,label,author,note\n", "line 1: the column 'label' is twice"),
        (f"{HEADER}1,a,b,\n2,a,b\n", "line 3: 3 fields, expected 4"),
        (f"{HEADER}1,dogs, cats,b,\n", "line 2: 5 fields, expected 4"),
        (f"{HEADER}-1,a,b,\n", "line 2: '-1' is no feature"),
        (f"{HEADER}1.0,a,b,\n", "line 2: '1.0' is no feature"),
        (f"{HEADER}²,a,b,\n", "line 2: '²' is no feature"),
        (f"{HEADER}8,a,b,\n", "line 2: there is no feature 8; the dictionary has 0 … 7"),
        (f"{HEADER}1, ,b,\n", "line 2: the label of feature 1 is empty"),
        (f"{HEADER}1,a,,\n", "line 2: the author of feature 1 is empty"),
        (f'{HEADER}1,a,b,"x\ny"\n2,a,b,\n1,c,b,\n', "line 5: b has labelled feature 1 before"),
        (f'{HEADER}1,a,b,"x\n', "line 2: "),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_line(file, text, problem):
    with pytest.raises(InputError) as error:
        read_labels(written(file, text), 8)
    assert str(file) in str(error.value) and problem in str(error.value)


def test_a_file_that_is_not_utf_8_is_refused(file):
    with pytest.raises(InputError, match="is not UTF-8"):
        read_labels(written(file, HEADER.encode() + b"1,tr\xe8s,b,\n"))
