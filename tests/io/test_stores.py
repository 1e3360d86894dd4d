"""Stores and their receipts, files that are whole or absent, and tables."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import polysem
from polysem.io.atomic import write_json, write_text, written
from polysem.io.errors import InputError
from polysem.io.stores import (
    DIGESTS,
    create_array,
    damage_of_store,
    hash_store,
    open_store,
    read_array,
    read_receipt,
    receipt_path,
    written_store,
)
from polysem.io.tables import read_table, write_table

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(polysem.__file__).parents[1])}


def write(path: Path, rows: int = 3000, order: tuple[str, ...] = ("ids", "weights")) -> Path:
    with written_store(path, attributes={"kind": "test"}, params={"n": rows}, code="abc", device="cpu") as group:
        for name in order:
            array = create_array(group, name, (rows, 4), "float32", ("row", "column"), compressed=name == "ids")
            array[:] = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    return path


def test_a_store_reads_back_and_its_receipt_says_what_it_holds(tmp_path):
    store = write(tmp_path / "train.zarr")
    np.testing.assert_array_equal(
        read_array(open_store(store), "weights")[:], np.arange(12000, dtype=np.float32).reshape(3000, 4)
    )
    receipt = read_receipt(store)
    assert receipt["arrays"]["weights"] == {"shape": [3000, 4], "dtype": "float32"}
    assert receipt["params"] == {"n": 3000}
    assert receipt["sha256"] == hash_store(store)
    assert receipt_path(store) == tmp_path / "train.json"


def test_the_same_work_gives_the_same_receipt_whatever_the_order_of_the_arrays(tmp_path):
    first = write(tmp_path / "a/train.zarr")
    second = write(tmp_path / "b/train.zarr", order=("weights", "ids"))
    assert receipt_path(first).read_bytes() == receipt_path(second).read_bytes()


def test_other_content_gives_another_receipt(tmp_path):
    assert (
        read_receipt(write(tmp_path / "a.zarr"))["sha256"] != read_receipt(write(tmp_path / "b.zarr", 2999))["sha256"]
    )


def flip_a_byte(store: Path) -> None:
    chunk = store / "ids/c/1/0"
    content = bytearray(chunk.read_bytes())
    content[100] ^= 1
    chunk.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (flip_a_byte, "ids/c/1/0"),
        (lambda store: (store / "ids/c/2/0").unlink(), "ids/c/2/0"),
        (lambda store: (store / "ids/c/2").rename(store / "ids/c/3"), "ids/c/2/0, ids/c/3/0"),
        (lambda store: (store / "zarr.json").write_text("{}"), "zarr.json"),
        (lambda store: (store / "weights/c/more").write_bytes(b""), "weights/c/more"),
        (lambda store: shutil.rmtree(store / "ids"), "ids/c/0/0, ids/c/1/0, ids/c/2/0 and 1 more"),
        (lambda store: (store / DIGESTS).write_text("[]"), f"{DIGESTS} itself or its folder"),
        (lambda store: (store / DIGESTS).write_text("{"), f"{DIGESTS} itself or its folder"),
    ],
)
def test_damage_changes_the_hash_and_the_files_are_named(tmp_path, damage, named):
    store = write(tmp_path / "train.zarr")
    assert damage_of_store(store, read_receipt(store)["sha256"]) == ""
    damage(store)
    wanted = read_receipt(store)["sha256"]
    assert hash_store(store) != wanted
    assert damage_of_store(store, wanted).endswith(f" and not {wanted[:12]}…: {named}")


def test_a_failing_block_leaves_nothing(tmp_path):
    store = write(tmp_path / "train.zarr")
    with (
        pytest.raises(KeyError),
        written_store(store, attributes={}, params={}, code="", device="cpu") as group,
    ):
        create_array(group, "x", (1,), "int32", ("row",), compressed=True)
        raise KeyError("in the middle")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_killed_in_the_middle_leaves_neither_store_nor_receipt_and_the_next_one_clears_up(tmp_path):
    script = """
    import os, signal, sys
    from pathlib import Path
    from polysem.io.stores import create_array, written_store
    with written_store(Path(sys.argv[1]), attributes={}, params={}, code="", device="cpu") as group:
        create_array(group, "stale", (5000,), "int32", ("row",), compressed=False)[:1024] = 1
        os.kill(os.getpid(), signal.SIGKILL)
    """
    store = tmp_path / "train.zarr"
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(store)], env=ENVIRONMENT)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["train.zarr.partial"]
    write(store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.json", "train.zarr"]
    assert receipt_path(store).read_bytes() == receipt_path(write(tmp_path / "fresh/train.zarr")).read_bytes()


def test_a_missing_store_a_missing_array_and_a_bad_receipt_are_errors_that_say_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"is no readable store .* run again"):
        open_store(tmp_path / "none.zarr")
    store = write(tmp_path / "train.zarr")
    with pytest.raises(InputError, match=r"no array 'x'.*run again"):
        read_array(open_store(store), "x")
    write_json(receipt_path(store), {"format": 99})
    with pytest.raises(InputError, match=r"format 99, expected 2: another version .* run snakemake"):
        read_receipt(store)
    receipt_path(store).write_text('{"format": ')
    with pytest.raises(InputError, match="cannot be read"):
        read_receipt(store)
    receipt_path(store).unlink()
    with pytest.raises(InputError, match=r"delete .*train\.zarr and run again"):
        read_receipt(store)


def test_a_failing_writer_leaves_the_old_file_and_no_partial_one(tmp_path):
    file = tmp_path / "deep/a.txt"
    write_text(file, "old")
    with pytest.raises(RuntimeError), written(file) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert [path.name for path in file.parent.iterdir()] == ["a.txt"]


def test_a_stale_partial_file_is_not_continued(tmp_path):
    (tmp_path / "a.txt.partial").write_text("stale")
    with written(tmp_path / "a.txt") as partial:
        assert not partial.exists()
        partial.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_written_files_can_be_read_by_others_as_the_umask_allows(tmp_path):
    with written(tmp_path / "a") as partial:
        partial.touch(mode=0o600)
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask


def test_json_keeps_the_order_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "b": 1,\n  "a": "é"\n}\n'.encode()
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": 1, "a": "é"}


def table(**attributes: str) -> xr.Dataset:
    return xr.Dataset({"frequency": ("feature", np.linspace(0, 1, 7), attributes)}, attrs={"catalogue": "S0.F1"})


def test_a_table_reads_back_and_has_the_same_bytes_every_time(tmp_path):
    full = table(long_name="share of tokens", units="1")
    for name in ("a.nc", "b.nc"):
        write_table(tmp_path / name, full)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    xr.testing.assert_identical(read_table(tmp_path / "a.nc"), full)


@pytest.mark.parametrize(("attributes", "missing"), [({"units": "1"}, "long_name"), ({"long_name": "x"}, "units")])
def test_a_table_without_names_and_units_is_refused(tmp_path, attributes, missing):
    with pytest.raises(ValueError, match=f"'frequency' of t.nc lacks {missing}"):
        write_table(tmp_path / "t.nc", table(**attributes))
    assert not (tmp_path / "t.nc").exists()


def test_a_damaged_table_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "t.nc").write_bytes(b"no table")
    with pytest.raises(InputError, match="run again"):
        read_table(tmp_path / "t.nc")
