"""The rows of a dictionary, read from its index."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from polysem.index.feature_index import FeatureIndex
from polysem.index.stored_rows import ARRAYS, HEADER, write_rows
from polysem.io.columns import read_columns
from polysem.io.errors import InputError
from polysem.io.folders import artifact_digests
from polysem.io.tables import read_table

from .tables_case import FEATURES, tables, write_tables

OPEN = Path("/proc/self/fd")


def same(found, wanted):
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


def test_the_row_of_a_feature_is_what_the_tables_hold(place, folder):
    index = FeatureIndex(folder)
    assert (index.features, index.tables) == (FEATURES, list(tables()))
    for feature in range(FEATURES):
        rows = index.rows(feature)
        assert list(rows) == list(tables())
        for name, row in rows.items():
            wanted = read_columns(Path(place.table(name)), [feature])
            assert row.arrays.keys() == wanted.arrays.keys() and row.attributes == wanted.attributes
            for variable, values in row.arrays.items():
                same(values, wanted[variable])


def test_a_column_has_the_feature_first_and_what_is_not_of_features_is_whole(place, folder):
    index = FeatureIndex(folder)
    for name in tables():
        table = read_table(Path(place.table(name)))
        for variable, values in table.variables.items():
            others = [dimension for dimension in values.dims if dimension != "feature"]
            ordered = values.transpose("feature", ...) if "feature" in values.dims else values
            found = index.column(name, variable)
            np.testing.assert_array_equal(found, ordered.to_numpy())
            assert index.variables(name)[variable].dimensions == values.dims
            assert found.shape == ordered.shape and len(others) == values.ndim - ("feature" in values.dims)
    assert index.column("clusters", "distance").shape == (FEATURES, 2)
    assert index.column("clusters", "rare").dtype == bool


def test_only_some_tables_are_looked_up_where_only_these_are_wanted(folder):
    assert list(FeatureIndex(folder).rows(0, ["frequency", "laws"])) == ["frequency", "laws"]


def test_what_is_mapped_cannot_be_written_to(folder):
    with pytest.raises(ValueError, match="read-only"):
        FeatureIndex(folder).column("frequency", "frequency")[0] = 1


@pytest.mark.skipif(not OPEN.is_dir(), reason="this system does not list the open files of a process")
def test_opening_maps_nothing_and_rows_take_no_file_each(folder):
    def open_files():
        return len(list(OPEN.iterdir()))

    before = open_files()
    opened = [FeatureIndex(folder) for _ in range(50)]
    assert open_files() == before
    for feature in range(FEATURES):
        opened[0].rows(feature)
    assert open_files() <= before + 1


def test_values_outlive_the_index_and_a_new_one_in_its_place(place, folder):
    index = FeatureIndex(folder)
    column = index.column("frequency", "frequency")
    before = column.tolist()
    shutil.rmtree(folder)
    folder.mkdir()
    write_tables(place, tables(seed=1))
    write_rows(folder, Path(place.tables), artifact_digests(Path(place.tables_receipt)))
    del index
    assert column.tolist() == before != FeatureIndex(folder).column("frequency", "frequency").tolist()


def test_an_index_that_was_made_again_between_opening_and_reading_is_not_misread(place, folder):
    index = FeatureIndex(folder)
    write_tables(place, tables(seed=1))
    write_rows(folder, Path(place.tables), artifact_digests(Path(place.tables_receipt)))
    with pytest.raises(InputError, match="was made again since it was opened; open it again"):
        index.rows(0)


def test_it_knows_which_tables_it_is_of(place, folder):
    index, receipt = FeatureIndex(folder), Path(place.tables_receipt)
    assert index.is_of(receipt)
    write_tables(place, tables() | {"laws": tables()["laws"].assign_attrs(not_applicable="thus")})
    assert not index.is_of(receipt)
    write_tables(place, tables())
    assert index.is_of(receipt)
    write_tables(place, tables() | {"more": tables()["laws"]})
    assert not index.is_of(receipt)
    receipt.write_text("{}")
    with pytest.raises(InputError, match=r"the receipt .* does not say what there is"):
        index.is_of(receipt)


def test_the_same_tables_give_the_same_bytes(place, folder, tmp_path):
    (tmp_path / "again").mkdir()
    write_rows(tmp_path / "again", Path(place.tables), artifact_digests(Path(place.tables_receipt)))
    for file in (HEADER, ARRAYS):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize("file", [HEADER, ARRAYS])
def test_an_index_that_is_not_there_is_named_with_what_makes_it(folder, file):
    (folder / file).unlink()
    with pytest.raises(InputError, match=r"holds no index of features.*snakemake --cores all"):
        FeatureIndex(folder)


@pytest.mark.parametrize("size", [0, 63, 640, -1])
def test_arrays_that_are_cut_off_are_refused(folder, size):
    content = (folder / ARRAYS).read_bytes()
    (folder / ARRAYS).write_bytes(content[:size])
    with pytest.raises(InputError, match=r"arrays\.bin has [\d,]+ bytes, and its header says .* makes it again"):
        FeatureIndex(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"format": 1}', '{"format": 1, "features": 3, "size": 3, "tables": 3}']
)
def test_a_header_that_is_damaged_is_refused(folder, text):
    (folder / HEADER).write_text(text)
    with pytest.raises(InputError, match=r"header\.json is damaged .*delete .* makes it again"):
        FeatureIndex(folder)


def test_a_header_that_points_behind_its_arrays_is_refused(folder):
    header = json.loads((folder / HEADER).read_text())
    header["tables"]["frequency"]["variables"]["frequency"]["offset"] = header["size"] - 8
    (folder / HEADER).write_text(json.dumps(header))
    with pytest.raises(InputError, match="its header says"):
        FeatureIndex(folder)


def test_a_header_of_other_arrays_is_refused_when_they_are_read(folder):
    header = json.loads((folder / HEADER).read_text())
    header["tables"]["frequency"]["attributes"]["tokens"] = 99
    (folder / HEADER).write_text(json.dumps(header))
    with pytest.raises(InputError, match="open it again"):
        FeatureIndex(folder).column("frequency", "frequency")


def test_an_index_of_another_version_is_refused(folder):
    header = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps(header | {"format": 0}))
    with pytest.raises(InputError, match="has format 0, expected 1: another version wrote it"):
        FeatureIndex(folder)


def test_wrong_names_and_numbers_are_answered_with_what_there_is(folder):
    index = FeatureIndex(folder)
    with pytest.raises(
        InputError, match=r"has no table 'frequncy' \(did you mean 'frequency'\?\); there are: examples"
    ):
        index.column("frequncy", "frequency")
    with pytest.raises(InputError, match=r"has no variable 'max'; if this version measures it"):
        index.column("frequency", "max")
    for feature in (-1, FEATURES):
        with pytest.raises(InputError, match=rf"has no feature {feature}; it has 0 … 11"):
            index.rows(feature)


def test_tables_of_different_dictionaries_are_refused(place, tmp_path):
    write_tables(place, tables() | {"frequency": tables(features=FEATURES - 1)["frequency"]})
    with pytest.raises(InputError, match=r"frequency\.nc has rows of 11 features, other tables beside it of 12"):
        write_rows(tmp_path, Path(place.tables), artifact_digests(Path(place.tables_receipt)))
