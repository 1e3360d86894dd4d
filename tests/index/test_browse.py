"""The features of a dictionary as a list."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from polysem.index.browse import COLUMNS, ORDERS, Line, browse
from polysem.index.feature_index import FeatureIndex
from polysem.index.stored_rows import write_rows
from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.layout.feature_labels import Label

from .tables_case import variable

FREQUENCY = [0.5, 0.02, 0.0, 0.01, 0.5, 1.0, 0.011]
LARGEST = [3.0, 9.0, 0.0, np.nan, 9.0, 1.0, 4.0]
POWER = [0.1, 0.9, 0.2, 0.9, 0.3, 0.4, 0.5]
LABELS = {
    4: [Label("zebra", "Ada", "")],
    1: [Label("Dogs", "Ada", ""), Label("pets", "Bob", "")],
    6: [Label("dogs", "Bob", "a note")],
    99: [Label("of another SAE", "Bob", "")],
    2: [],
}


@pytest.fixture
def index(tmp_path) -> FeatureIndex:
    number = {"feature": variable("feature", np.arange(len(POWER)))}
    columns = {"frequency": {"frequency": FREQUENCY, "max_activation": LARGEST}, "alignment": {"power_top1": POWER}}
    for table, values in columns.items():
        made = {name: variable("feature", np.array(column)) for name, column in values.items()}
        write_table(tmp_path / f"tables/{table}.nc", xr.Dataset(made, number))
    (tmp_path / "index").mkdir()
    write_rows(tmp_path / "index", tmp_path / "tables", dict.fromkeys(columns, ""))
    return FeatureIndex(tmp_path / "index")


def numbers(index, *arguments, **options):
    return [line.feature for line in browse(index, LABELS, *arguments, **options).lines]


def test_a_line_has_the_numbers_and_labels_of_its_feature(index):
    found = browse(index, LABELS)
    assert (found.features, found.pages, found.hidden) == (7, 1, 0)
    assert found.lines[1] == Line(1, 0.02, 9.0, 0.9, ("Dogs", "pets"))
    assert found.lines[2].labels == () and np.isnan(found.lines[3].largest)


@pytest.mark.parametrize(
    ("order", "ascending", "descending"),
    [
        ("feature", [0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]),
        ("frequency", [2, 3, 6, 1, 0, 4, 5], [5, 0, 4, 1, 6, 3, 2]),
        ("largest", [2, 5, 0, 6, 1, 4, 3], [1, 4, 6, 0, 5, 2, 3]),
        ("power", [0, 2, 4, 5, 6, 1, 3], [1, 3, 6, 5, 4, 2, 0]),
        ("label", [6, 1, 4, 0, 2, 3, 5], [4, 1, 6, 0, 2, 3, 5]),
    ],
)
def test_orders_go_both_ways_and_equals_by_number(index, order, ascending, descending):
    assert numbers(index, order) == ascending
    assert numbers(index, order, descending=True) == descending


def test_equal_labels_go_by_number_in_both_directions(index):
    same = {feature: [Label("x", "Ada", "")] for feature in (5, 3)}
    for descending in (False, True):
        found = browse(index, same, "label", descending=descending).lines
        assert [line.feature for line in found] == [3, 5, 0, 1, 2, 4, 6]


def test_dense_features_are_left_out_and_counted(index):
    found = browse(index, LABELS, density=0.02)
    assert [line.feature for line in found.lines] == [1, 2, 3, 6]
    assert (found.features, found.hidden) == (4, 3)
    assert numbers(index, "label", density=0.02) == [6, 1, 2, 3]
    assert numbers(index, "power", density=0.02, descending=True) == [1, 3, 6, 2]
    assert numbers(index, density=0.0) == [2] and len(numbers(index, density=1)) == 7


@pytest.mark.parametrize("order", ORDERS)
def test_pages_together_are_the_whole_list(index, order):
    whole = numbers(index, order, density=0.9)
    pages = [browse(index, LABELS, order, density=0.9, page=page, size=4) for page in range(3)]
    assert [[line.feature for line in page.lines] for page in pages] == [whole[:4], whole[4:], []]
    assert {(page.pages, page.features, page.hidden) for page in pages} == {(2, 6, 1)}


@pytest.mark.parametrize(
    ("order", "density", "columns"),
    [
        ("feature", None, set()),
        ("label", None, set()),
        ("power", None, {"power"}),
        ("largest", 0.5, {"largest", "frequency"}),
    ],
)
def test_no_more_is_read_than_the_page_and_the_columns_of_its_order(index, order, density, columns):
    """What is read of a column is seen on a copy of the index that has other numbers everywhere else."""
    wanted = browse(index, LABELS, order, density=density, size=2)
    shown = [line.feature for line in wanted.lines]
    arrays = {name: index.column(*place).copy() for name, place in COLUMNS.items()}
    for name, values in arrays.items():
        if name not in columns:
            values[np.setdiff1d(np.arange(index.features), shown)] = 77.0

    class Changed:
        features = index.features

        def column(self, table, variable):
            return arrays[next(name for name, place in COLUMNS.items() if place == (table, variable))]

    assert browse(Changed(), LABELS, order, density=density, size=2) == wanted


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": "frequncy"}, r"cannot be ordered by 'frequncy' \(did you mean 'frequency'\?\): feature, label"),
        ({"density": 1.5}, r"density is 1\.5, allowed is a share of all tokens, 0 to 1"),
        ({"density": float("nan")}, "density is nan"),
        ({"page": -1}, "pages are counted from 0"),
        ({"size": 0}, "allowed are 1 to 1000 lines"),
        ({"size": 1001}, "allowed are 1 to 1000 lines"),
    ],
)
def test_what_cannot_be_listed_is_said(index, options, said):
    with pytest.raises(InputError, match=said):
        browse(index, LABELS, **options)


def test_a_list_of_a_dictionary_that_the_index_lacks_columns_of_says_which(tmp_path):
    (tmp_path / "index").mkdir()
    write_table(tmp_path / "tables/laws.nc", xr.Dataset({"law": variable("law", np.arange(3))}))
    write_rows(tmp_path / "index", tmp_path / "tables", {"laws": ""})
    with pytest.raises(InputError, match="has no table 'frequency'"):
        browse(FeatureIndex(Path(tmp_path / "index")), {}, "frequency")
