"""Tables as plain arrays: what xarray reads, without it."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
import xarray as xr

from polysem.io.columns import read_columns, table_file
from polysem.io.errors import InputError
from polysem.io.tables import write_table

FEATURES = 40


def variable(dimensions, values):
    return (dimensions, values, {"long_name": "a", "units": "1"})


@pytest.fixture
def table() -> xr.Dataset:
    random = np.random.default_rng(0)
    values = {
        "share": variable("feature", random.random(FEATURES)),
        "active": variable("feature", random.random(FEATURES) < 0.5),
        "state": variable("feature", np.array(["on", "", "été"] * FEATURES, dtype=object)[:FEATURES]),
        "distance": variable(("embedding", "feature"), random.random((3, FEATURES), np.float32)),
        "window": variable(("feature", "example", "offset"), random.integers(-9, 9, (FEATURES, 6, 4), np.int16)),
        "median": variable("embedding", np.array([np.nan, 1.5, -0.0])),
        "total": variable((), np.int64(7)),
        "name": variable((), np.array("one", dtype=object)),
        "none": variable("absent", np.zeros(0, np.float32)),
    }
    coordinates = {
        "feature": variable("feature", np.arange(FEATURES)),
        "embedding": variable("embedding", np.array(["a", "bb", "c"])),
        "edge": variable("edges", np.arange(3.0)),
    }
    attributes = {"tokens": 9, "share": 0.1, "model": "été", "empty": "", "several": [1, 2], "one": [3]}
    made = xr.Dataset(values, coordinates, attributes)
    made["window"].encoding = {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": (8, 3, 4)}
    return made


@pytest.fixture
def path(tmp_path, table):
    write_table(tmp_path / "table.nc", table)
    return tmp_path / "table.nc"


@pytest.mark.parametrize("features", [None, [3], [39, 0], [5, 2, 5, 30], list(range(FEATURES))[::-1]])
def test_arrays_are_what_xarray_reads(path, features):
    found = read_columns(path, features)
    with xr.open_dataset(path, engine="h5netcdf") as wanted:
        assert set(found.arrays) == set(wanted.variables)
        if features is not None:
            wanted = wanted.isel(feature=features)
        for name, values in found.arrays.items():
            expected = wanted[name].to_numpy()
            assert values.dtype == (object if expected.dtype.kind in "OU" else expected.dtype), name
            assert values.shape == expected.shape, name
            np.testing.assert_array_equal(values, expected)
            if values.dtype == object:
                assert {type(text) for text in values.ravel()} == {str}
        with table_file(path) as file:
            assert {name: wanted[name].dims for name in wanted.variables} == file.dimensions
            assert len(file) == FEATURES


def test_attributes_are_plain_values(path):
    found = dict(read_columns(path).attributes)
    wanted = {"tokens": 9, "share": 0.1, "model": "été", "empty": "", "several": [1, 2], "one": 3}
    assert found == wanted
    assert all(type(value) is type(wanted[name]) for name, value in found.items())


def test_a_table_without_features_is_read_whole(tmp_path):
    write_table(tmp_path / "table.nc", xr.Dataset({"laws": variable("law", np.arange(4))}))
    assert read_columns(tmp_path / "table.nc", [2])["laws"].tolist() == [0, 1, 2, 3]
    with table_file(tmp_path / "table.nc") as file:
        assert len(file) == 0


@pytest.mark.parametrize("damage", ["missing", "text", "half", "array", "group", "empty"])
def test_what_is_no_table_is_refused(path, damage):
    content = path.read_bytes()
    path.unlink()
    if damage in ("array", "group"):
        with h5py.File(path, "w") as file:
            _ = file.create_group("group") if damage == "group" else file.create_dataset("array", data=np.zeros(2))
    elif damage != "missing":
        path.write_bytes({"text": b"no table", "half": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(InputError, match=r"table\.nc cannot be read as a table \(.*\); delete it and run again"):
        read_columns(path)


def test_a_packed_variable_is_refused_and_not_taken_for_its_values(path):
    with h5py.File(path, "a") as file:
        file["share"].attrs["scale_factor"] = 0.5
    with pytest.raises(InputError, match=r"share of .* is packed"):
        read_columns(path)


def test_neither_xarray_nor_torch_is_imported():
    program = (
        "import sys; import polysem.io.columns; print(sorted({'xarray', 'torch', 'pandas', 'zarr'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=os.environ)
    assert result.stdout.strip() == "[]"
