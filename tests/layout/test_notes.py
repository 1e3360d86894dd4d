"""Notes of people: their files, what they hold, and what cannot be one."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysem.io.errors import InputError
from polysem.layout.notes import Comment, Note, file_name, note_files, read_notes, write_note
from polysem.layout.place import Place

PLACE = Place("m", "blocks.0.mlp.hook_post", "topk-x4")
NOW, BEFORE = "1" * 64, "2" * 64
HOSTILE = (
    "../x", "..", "/etc/passwd", "C:\\x", "a/b", ".hidden", "-rf", "CON", "con", "Con", "x" * 300, "é",
    "e\u0301 ", "中文", "🦊", "\u202eadA", "Ada", "ada", "ADA", "a\u200bda", "a\nb", "a\0b", "'; rm -rf *",
    "%2e%2e%2f", "Ada Lovelace", "Ada-Lovelace",
)  # fmt: skip


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def put(root: Path, **values) -> Path:
    """A file with these values, called as it has to be."""
    note = {"feature": 7, "author": "Ada", "weights": NOW} | values
    path = root / PLACE.notes / file_name(note["feature"], note["author"], note["weights"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(note))
    return path


def test_what_is_written_is_read(tmp_path):
    write_note(PLACE, 7, "Ada", NOW, star=True, comment="first", root=tmp_path)
    write_note(PLACE, 7, "Ada", NOW, label="dogs", note="big ones", root=tmp_path)
    after = write_note(PLACE, 7, " Ada ", NOW, comment="second\nline", root=tmp_path)
    comments = (Comment(date=today(), text="first"), Comment(date=today(), text="second\nline"))
    wanted = Note(feature=7, author="Ada", weights=NOW, star=True, label="dogs", note="big ones", comments=comments)
    assert after == wanted and read_notes(PLACE, tmp_path) == [wanted]
    (file,) = note_files(PLACE, tmp_path)
    assert json.loads(file.read_text()) == wanted.values() and file.read_text().endswith("\n}\n")


def test_what_is_taken_away_leaves_no_file(tmp_path):
    write_note(PLACE, 7, "Ada", NOW, star=True, label="dogs", note="big ones", root=tmp_path)
    assert write_note(PLACE, 7, "Ada", NOW, label="", root=tmp_path) == Note(
        feature=7, author="Ada", weights=NOW, star=True
    )
    assert write_note(PLACE, 7, "Ada", NOW, star=False, root=tmp_path) is None
    assert read_notes(PLACE, tmp_path) == [] and note_files(PLACE, tmp_path) == []


def test_notes_about_another_training_stay_as_they_are(tmp_path):
    write_note(PLACE, 7, "Ada", BEFORE, label="cats", comment="of old", root=tmp_path)
    write_note(PLACE, 7, "Ada", NOW, label="dogs", root=tmp_path)
    assert [(note.weights, note.label) for note in read_notes(PLACE, tmp_path)] == [(NOW, "dogs"), (BEFORE, "cats")]


def test_no_two_authors_share_a_file_and_none_leaves_the_folder(tmp_path):
    names = [file_name(7, author, NOW) for author in HOSTILE]
    assert len({name.lower() for name in names}) == len(HOSTILE) - 0
    for name in names:
        assert re.fullmatch(r"7(-[a-z0-9]+)*-[0-9a-f]{16}\.json", name) and len(name) < 80
    written = 0
    for author in HOSTILE:
        write_note(PLACE, 7, author, NOW, star=True, root=tmp_path)
        written = len(note_files(PLACE, tmp_path))
    files = {file for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {*note_files(PLACE, tmp_path), tmp_path / ".cache/notes.lock"}
    assert written == len({note.author for note in read_notes(PLACE, tmp_path)}) == len(HOSTILE) - 1, "é is é"


@given(st.text(min_size=1), st.text(min_size=1))
def test_file_names_of_any_two_authors_differ_whatever_the_file_system(one, other):
    names = [file_name(3, author, NOW) for author in (one, other)]
    assert (names[0].lower() == names[1].lower()) == (one == other)
    assert all(re.fullmatch(r"[a-z0-9-]+\.json", name) for name in names)


def test_the_same_author_in_many_tabs_and_processes_loses_nothing(tmp_path):
    program = (
        "import sys; from pathlib import Path; from polysem.layout.notes import write_note; "
        "from polysem.layout.place import Place\n"
        "for number in range(10):\n"
        f"    write_note(Place(*{PLACE.names}), 7, 'Ada', '{NOW}', comment=f'{{sys.argv[1]}} {{number}}', "
        "root=Path(sys.argv[2]))\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", program, str(tab), str(tmp_path)]) for tab in range(3)]
    with ThreadPoolExecutor(4) as tabs:
        written = [
            tabs.submit(write_note, PLACE, 7, "Ada", NOW, comment=f"thread {number}", root=tmp_path)
            for number in range(20)
        ]
    assert all(one.result() is not None for one in written) and all(other.wait() == 0 for other in others)
    (note,) = read_notes(PLACE, tmp_path)
    texts = [comment.text for comment in note.comments]
    wanted = {f"thread {number}" for number in range(20)} | {
        f"{tab} {number}" for tab in range(3) for number in range(10)
    }
    assert len(texts) == 50 and set(texts) == wanted


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"feature": -1}, ", feature: found -1"),
        ({"feature": 7.0}, ", feature: found 7.0"),
        ({"feature": True}, ", feature: found true"),
        ({"author": " "}, ", author: the text is empty"),
        ({"author": "\ud800"}, ", author: found '\\ud800', allowed is text"),
        ({"author": 3}, ", author: found 3"),
        ({"weights": "abc"}, ", weights: 'abc' is no sha256"),
        ({"weights": "A" * 64}, "is no sha256"),
        ({"star": "yes"}, ", star: found 'yes'"),
        ({"label": None}, ", label: found null"),
        ({"label": "x" * 1001}, ", label: it has 1,001 characters, and 1,000 are allowed"),
        ({"lable": "x"}, ", lable: unknown key (did you mean 'label'?)"),
        ({"note": "big"}, ", there is a note, and no label that it is about"),
        ({"comments": "x"}, ", comments: found 'x'"),
        ({"comments": [{"date": "2026-11-26", "text": "x"}, {"date": "26.11.2026", "text": "x"}]}, "comments.1.date: "),
        ({"comments": [{"date": "2026-11-26", "text": "  "}]}, "comments.0.text: the text is empty"),
        ({"comments": [{"date": "2026-11-26"}]}, "comments.0.text: this key is missing"),
        ({"comments": [{"date": "2026-11-26", "text": "x", "by": "Bo"}]}, "comments.0.by: unknown key"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_note_is_refused_with_its_name_and_key(tmp_path, values, problem):
    put(tmp_path)
    assert len(read_notes(PLACE, tmp_path)) == 1
    (file,) = note_files(PLACE, tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    with pytest.raises(InputError) as refused:
        read_notes(PLACE, tmp_path)
    assert str(file) in str(refused.value) and problem in str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n"feature": 7,\n}', ", line 3: "),
        ("", ", line 1: "),
        ("[]", " holds list; a note is a JSON object"),
        ('{"star": true, "star": false}', "the key 'star' stands there twice"),
        ('{"feature": NaN}', "NaN is no value of JSON"),
        ("[" * 100_000, "recursion"),
        ('{"feature": ' + "9" * 5000 + "}", "a note is a JSON object"),
        (b'{"author": "\xff"}', " is not UTF-8 (byte 12)"),
        ('{"author": "' + "x" * 1_000_000 + '"}', " has 1,000,014 bytes; a note has at most 1,000,000"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(tmp_path, text, problem):
    file = put(tmp_path)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as refused:
        read_notes(PLACE, tmp_path)
    assert str(file) in str(refused.value) and problem in str(refused.value)


def test_a_copy_under_another_name_is_refused_so_that_none_counts_twice(tmp_path):
    file = put(tmp_path, star=True)
    copy = file.with_name("7-ada.json")
    copy.write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=rf"7-ada\.json has to be called {file.name}"):
        read_notes(PLACE, tmp_path)


def test_links_are_not_followed_out_of_the_labels(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = put(tmp_path, star=True)
    file.rename(elsewhere / file.name)
    file.symlink_to(elsewhere / file.name)
    with pytest.raises(InputError, match="is a link"):
        read_notes(PLACE, tmp_path)
    file.unlink()
    file.parent.rmdir()
    file.parent.symlink_to(elsewhere)
    with pytest.raises(InputError, match="a link leads from"):
        write_note(PLACE, 8, "Ada", NOW, star=True, root=tmp_path)
    assert len(list(elsewhere.iterdir())) == 1


def test_what_a_killed_writer_and_editors_leave_is_no_note(tmp_path):
    file = put(tmp_path, star=True)
    for name in (f"{file.name}.partial", ".#7-ada.json", ".DS_Store"):
        (file.parent / name).write_text("{")
    assert len(read_notes(PLACE, tmp_path)) == 1
    write_note(PLACE, 7, "Ada", NOW, comment="x", root=tmp_path)
    assert not (file.parent / f"{file.name}.partial").exists()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"author": ""}, "author: the text is empty"),
        ({"weights": "?"}, "is no sha256"),
        ({"comment": "\udc80"}, "comments.0.text: found '\\\\udc80', allowed is text"),
        ({"comment": " "}, "the text is empty"),
        ({"label": "x" * 2000}, "label: it has 2,000 characters, and 1,000 are allowed"),
        ({"note": "more"}, "there is a note, and no label"),
        ({"label": "", "note": "more"}, "there is a note, and no label"),
    ],
)
def test_what_no_note_can_hold_is_refused_before_anything_is_written(tmp_path, values, problem):
    arguments = {"feature": 7, "author": "Ada", "weights": NOW, "star": True} | values
    with pytest.raises(InputError, match=problem):
        write_note(PLACE, **arguments, root=tmp_path)
    assert note_files(PLACE, tmp_path) == []


def test_a_note_that_grows_too_large_is_refused_and_stays(tmp_path):
    for number in range(49):
        write_note(PLACE, 7, "Ada", NOW, comment=f"{number}" + "x" * 19_990, root=tmp_path)
    (file,) = note_files(PLACE, tmp_path)
    before = file.read_bytes()
    with pytest.raises(InputError, match="a note has at most 1,000,000"):
        write_note(PLACE, 7, "Ada", NOW, comment="y" * 20_000, root=tmp_path)
    assert file.read_bytes() == before


def git(folder: Path, *arguments: str) -> str:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT")}
    who = {f"GIT_{role}_{key}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    variables = ours | who | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=variables, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def test_two_people_star_and_label_one_feature_on_two_branches_and_git_merges_them(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    (tmp_path / ".gitignore").write_text(".cache/\n")
    write_note(PLACE, 7, "Ada", NOW, star=True, root=tmp_path)
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "A star")
    for author in ("Ada", "Björn"):
        git(tmp_path, "switch", "--quiet", "--create", f"by-{author}", "main")
        write_note(PLACE, 7, author, NOW, star=True, label=f"{author}'s", comment="look", root=tmp_path)
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--quiet", "--message", f"By {author}")
    git(tmp_path, "merge", "--quiet", "--no-edit", "by-Ada")
    assert git(tmp_path, "status", "--porcelain") == ""
    notes = read_notes(PLACE, tmp_path)
    assert [(note.author, note.star, note.label, len(note.comments)) for note in notes] == [
        ("Ada", True, "Ada's", 1),
        ("Björn", True, "Björn's", 1),
    ]
