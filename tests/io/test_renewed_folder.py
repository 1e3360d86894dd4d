"""Folders of artifacts of which only those are made again that are made of something else."""

import json
import os
from pathlib import Path

import pytest

from polysem.io.folders import receipt_of, renewed_folder


def make(path: Path, digests: dict[str, str], text: str) -> list[str]:
    """The names of the artifacts that were made, each a file that holds `text`; "none" has no file."""
    with renewed_folder(path, digests) as renewal:
        for name in renewal.missing:
            if name == "none":
                renewal.add(name, None, why="there is none")
                continue
            (renewal.folder / f"{name}.txt").write_text(f"{name} {text}")
            renewal.add(name, f"{name}.txt")
    return renewal.missing


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "tables"
    assert make(path, {"a": "1", "b": "1", "none": "1"}, "first") == ["a", "b", "none"]
    for file in path.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    return path


def test_what_is_made_of_the_same_stays_in_bytes_and_date(folder):
    assert make(folder, {"a": "1", "b": "2", "none": "1"}, "second") == ["b"]
    assert (folder / "a.txt").read_text() == "a first"
    assert (folder / "a.txt").stat().st_mtime == 1_000_000_000
    assert (folder / "b.txt").read_text() == "b second"
    artifacts = json.loads(receipt_of(folder).read_text())["artifacts"]
    assert {name: said["made_of"] for name, said in artifacts.items()} == {"a": "1", "b": "2", "none": "1"}
    assert artifacts["none"]["why"] == "there is none"


def test_what_is_asked_for_no_more_goes_and_what_is_new_comes(folder):
    assert make(folder, {"b": "1", "c": "1"}, "second") == ["c"]
    assert sorted(file.name for file in folder.iterdir()) == ["b.txt", "c.txt"]


@pytest.mark.parametrize("damage", ["edited", "gone", "torn receipt", "no receipt"])
def test_what_is_not_what_was_written_is_made_again(folder, damage):
    receipt = receipt_of(folder)
    if damage == "edited":
        (folder / "a.txt").write_text("a other")
    elif damage == "gone":
        (folder / "a.txt").unlink()
    elif damage == "torn receipt":
        receipt.write_text(receipt.read_text()[:40])
    else:
        receipt.unlink()
    made = make(folder, {"a": "1", "b": "1"}, "second")
    assert made == (["a"] if damage in ("edited", "gone") else ["a", "b"])
    assert (folder / "a.txt").read_text() == "a second"


def test_an_error_leaves_everything_as_it_was(folder):
    before = receipt_of(folder).read_bytes()
    with pytest.raises(RuntimeError), renewed_folder(folder, {"a": "2"}) as renewal:
        (renewal.folder / "a.txt").write_text("half")
        raise RuntimeError
    assert receipt_of(folder).read_bytes() == before
    assert (folder / "a.txt").read_text() == "a first"
    assert not list(folder.parent.glob("*.partial"))
