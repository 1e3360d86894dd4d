import json

import pytest

from polysem.io.errors import InputError
from polysem.io.folders import damage, file_digest, read_folder_receipt, receipt_of, written_folder


def test_a_folder_and_its_receipt_replace_what_was_there(tmp_path):
    folder = tmp_path / "l1-x8_l1=0.5"
    folder.mkdir()
    (folder / "old.svg").touch()
    with written_folder(folder) as (partial, receipt):
        assert not folder.exists() and not receipt_of(folder).exists()
        (partial / "new.svg").write_text("new")
        receipt["new"] = 1
    assert [file.name for file in folder.iterdir()] == ["new.svg"]
    assert read_folder_receipt(folder) == {"new": 1}
    assert (tmp_path / "l1-x8_l1=0.5.json").exists()


def test_an_error_leaves_neither_folder_nor_receipt(tmp_path):
    with pytest.raises(KeyError), written_folder(tmp_path / "x") as (partial, _):
        (partial / "half.svg").touch()
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_no_part_of_the_next_folder(tmp_path):
    (tmp_path / "x.partial").mkdir()
    (tmp_path / "x.partial/half.svg").touch()
    with written_folder(tmp_path / "x") as (partial, _):
        (partial / "whole.svg").touch()
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["whole.svg"]


def test_missing_and_changed_files_are_named(tmp_path):
    (tmp_path / "a").write_text("a")
    digests = {"a": file_digest(tmp_path / "a")}
    assert damage(tmp_path, digests) == ""
    (tmp_path / "a").write_text("b")
    assert damage(tmp_path, digests) == "a is not what was written"
    assert damage(tmp_path, digests | {"a": file_digest(tmp_path / "a"), "b": ""}) == "b is missing"


def test_a_receipt_that_is_missing_or_no_json_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match=r"x\.json cannot be read"):
        read_folder_receipt(tmp_path / "x")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json cannot be read"):
        read_folder_receipt(tmp_path / "x")
    (tmp_path / "x.json").write_text(json.dumps({"figures": {}}))
    assert read_folder_receipt(tmp_path / "x") == {"figures": {}}
