"""One function finds files: the check before a run, the digest and the reader see the same."""

import os
from pathlib import Path

import pytest

from polysem.corpora.readers import corpus_files
from polysem.io.files import matching_files
from polysem.params.study import section_class
from polysem.workflow.checks import preflight


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("text")


def found(pattern):
    return [path.as_posix() for path in matching_files(pattern)]


def test_a_glob_goes_through_linked_folders():
    write("elsewhere/deep/x.txt", "data/plain/y.txt")
    Path("data/linked").symlink_to(Path("elsewhere").absolute())
    assert found("data/**/*.txt") == ["data/linked/deep/x.txt", "data/plain/y.txt"]
    assert found("data") == ["data/linked/deep/x.txt", "data/plain/y.txt"]


def test_a_link_to_a_folder_above_is_not_followed():
    write("data/a/x.txt")
    Path("data/a/up").symlink_to(Path("data").absolute())
    assert found("data/**/*.txt") == ["data/a/x.txt"]
    assert found("data") == ["data/a/x.txt"]


def test_a_linked_file_counts_and_a_broken_link_does_not():
    write("elsewhere/x.txt", "data/y.txt")
    Path("data/x.txt").symlink_to(Path("elsewhere/x.txt").absolute())
    Path("data/z.txt").symlink_to("nowhere")
    assert found("data/*.txt") == found("data") == ["data/x.txt", "data/y.txt"]


def test_a_name_that_is_there_is_tried_before_a_pattern():
    write("part[1].txt", "part1.txt", "folder[a]/x.txt", "foldera/y.txt")
    assert found("part[1].txt") == ["part[1].txt"]
    assert found("folder[a]") == ["folder[a]/x.txt"]
    Path("part[1].txt").unlink()
    assert found("part[1].txt") == ["part1.txt"]


def test_the_home_folder_can_be_written_short():
    write("home/texts/x.txt")
    inside = [Path("home/texts/x.txt").absolute().as_posix()]
    assert found("~/texts/x.txt") == found("~/texts/*.txt") == found("~/texts") == inside


def test_hidden_files_are_left_out_unless_they_are_named():
    write("data/.hidden.txt", "data/.git/x.txt", "data/y.txt")
    assert found("data/*.txt") == found("data/**/*.txt") == found("data") == ["data/y.txt"]
    assert found("data/.hidden.txt") == ["data/.hidden.txt"]
    assert found("data/.*.txt") == ["data/.hidden.txt"]
    assert found("data/.git") == ["data/.git/x.txt"]


@pytest.mark.parametrize(
    "pattern", ["data/**/*.txt", "data/linked/*.txt", "part[1].txt", "~/texts/*.txt", "data/.hidden.txt", "data/*.txt"]
)
def test_the_check_and_the_digest_see_what_the_reader_reads(pattern):
    write("elsewhere/x.txt", "data/y.txt", "data/.hidden.txt", "part[1].txt", "part1.txt", "home/texts/z.txt")
    Path("data/linked").symlink_to(Path("elsewhere").absolute())
    corpus = section_class("corpora", "files").model_validate({"source": "files", "paths": pattern})
    assert preflight.outside_files(corpus) == sorted(corpus_files(pattern)) != []


def test_nothing_matches_a_pipe_or_a_pattern_of_nothing():
    os.mkfifo("pipe.txt")
    assert found("*.txt") == found("nothing/**/*") == []


def test_the_home_of_a_user_who_is_not_there_matches_nothing():
    assert matching_files("~nobody-of-this-name/x.txt") == []
