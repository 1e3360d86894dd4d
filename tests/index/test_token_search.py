"""Features by the tokens that they are about."""

import sqlite3
from contextlib import closing

import pytest

from polysem.index import full_text
from polysem.index.token_search import MOST_WORDS, Found, Row, find, tokens_of, words_of, write_token_search
from polysem.io.errors import InputError

TOKENS = {
    0: [" red", "Red", " blue", " red"],
    1: [" reduce"] * 5,
    2: ["\n", "\n\n", "\t", "("],
    3: [".append(", "_name", "don't"],
    4: ['a"b', "AND", "NOT", "NEAR(", "*", "-", "^"],
    5: [],
    6: ["été", "日本", "🙂", "\ufffd"],
}
ALL_RED = [" red"] * 20


def write(path):
    rows = [Row(feature, feature / 10, tokens) for feature, tokens in TOKENS.items()]
    write_token_search(path, [("a", "neurons", rows), ("b", "l1=1", [Row(0, 0.5, ALL_RED)])])
    return path


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a folder?#%").mkdir()
    return write(tmp_path / "a folder?#%/f.sqlite")


def found(path, words, limit=25):
    return [each.feature if each.site == "a" else "b" for each in find(path, words, limit)]


def test_a_feature_is_found_with_its_tokens_and_its_frequency(path):
    assert find(path, "append") == [Found("a", "neurons", 3, (".append(", "_name", "don't"), 0.3)]
    assert find(path, "blue")[0].tokens == (" red", "Red", " blue")


def test_whole_words_come_before_starts_of_words_and_more_examples_before_fewer(path):
    assert found(path, "red") == ["b", 0, 1]
    assert found(path, "RED") == ["b", 0, 1]
    assert found(path, "red", 1) == ["b"]
    assert found(path, "redu") == [1]
    assert found(path, "educe") == []


def test_all_words_must_be_there_and_the_last_may_be_a_start(path):
    assert found(path, "blue red") == [0]
    assert found(path, "blue re") == [0]
    assert found(path, "re blue") == []


@pytest.mark.parametrize(
    ("words", "features"),
    [
        ("↵", [2]), ("↵↵", [2]), ("␉", [2]), ("(", [2]), (".app", [3]), ("name", [3]), ("don't", [3]), ("don", [3]),
        ('a"b', [4]), ("AND", [4]), ("not", [4]), ("NEAR(", [4]), ("*", [4]), ("-", [4]), ("^", [4]), ("ét", [6]),
        ("ete", []), ("日", [6]), ("🙂", [6]), ("\ufffd", [6]), ("", []), (" \n\t", []), ('"', []),
        ("red AND blue", []), ("red OR blue", []), ("tokens:red", []), ("{tokens}:red", []),
        ("red*", []), ("^red", []), ("-red", []),
        ("red + blue", []), ("NEAR(red blue)", []), ("red)", []), ("'; DROP TABLE features; --", []), ("\ud800", []),
        ("re\0d", []), ("re\x1fdu", []),
    ],
)  # fmt: skip
def test_every_text_is_taken_as_what_it_says(path, words, features):
    assert found(path, words) == features
    assert found(path, "red") == ["b", 0, 1]


def test_tokens_of_features_are_looked_up_by_their_numbers(path):
    assert tokens_of(path, "a", "neurons", [5, 0, 77, 4]) == {
        0: (" red", "Red", " blue"),
        4: ('a"b', "AND", "NOT", "NEAR(", "*", "-", "^"),
        5: (),
    }
    assert tokens_of(path, "b", "l1=1", range(40_000)) == {0: (" red",)}
    assert tokens_of(path, "a", "l1=1", [0]) == tokens_of(path, "b", "l1=1", []) == {}
    with pytest.raises(InputError, match="there is no index of tokens"):
        tokens_of(path.with_name("none"), "a", "neurons", [0])


def test_control_characters_part_words(path):
    assert found(path, "\0red\x07blue\u2028") == [0]


def test_as_many_words_as_a_feature_may_have_are_looked_for_and_no_more(path):
    assert found(path, " ".join(["red"] * 500)) == ["b", 0, 1]
    many = [f"w{number}" for number in range(MOST_WORDS)]
    assert found(path, " ".join(many)) == []
    with pytest.raises(InputError, match=f"has {MOST_WORDS + 1} words, at most {MOST_WORDS}"):
        find(path, " ".join([*many, "more"]))


def test_words_of_a_token_are_its_own_and_the_runs_of_letters_in_them():
    assert words_of(" .append(x") == (".append(x", "append", "x")
    assert words_of(" red") == ("red",)
    assert words_of("\n ") == ("↵·",)
    assert words_of("") == ()


def test_the_same_rows_give_the_same_bytes_and_no_other_file_stays(path, tmp_path):
    assert write(tmp_path / "again").read_bytes() == path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nobody_writes_to_the_file_or_beside_it(path):
    before = path.read_bytes()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert found(path, "red") == ["b", 0, 1]
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_a_file_that_is_missing_damaged_or_of_another_version_is_named(path):
    with pytest.raises(InputError, match=r"there is no index of tokens .*none.*snakemake --cores all"):
        find(path.with_name("none"), "red")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"f\.sqlite cannot be searched .*delete it and its receipt"):
        find(path, "red")
    path.write_bytes(b"no base" * 1000)
    with pytest.raises(InputError, match="cannot be searched"):
        find(path, "red")
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA user_version = 7")
    with pytest.raises(InputError, match="has format 7, expected 1: another version wrote it"):
        find(path, "red")


def test_without_full_text_search_nothing_is_written_and_no_file_is_blamed(path, tmp_path, monkeypatch):
    monkeypatch.setattr(full_text, "ENGINE", "fts0")
    with pytest.raises(InputError, match=r"SQLite of this Python .* makes no full-text index"):
        write(tmp_path / "g.sqlite")
    assert not list(tmp_path.glob("g.sqlite*"))
    path.write_bytes(b"no base" * 1000)
    with pytest.raises(InputError, match=r"SQLite of this Python .* makes no full-text index"):
        find(path, "red")
