"""How numbers are written in the report."""

import pytest

from polysem.report.numbers import in_words, site_board


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("power_law", "power_law"),
        (True, "True"),
        (4096, "4,096"),
        (4096.0, "4,096"),
        (0.0, "0"),
        (31.256789, "31.26"),
        (0.000012345, "1.234e-05"),
        (-12345.6, "-12,346"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (1e30, "1e+30"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_a_number_has_four_digits_and_a_count_all_of_them(value, text):
    assert in_words(value) == text


def test_a_site_s_dictionaries_have_a_row_each_and_the_metrics_that_matter_come_first():
    numbers = {"neurons": {"zeta": 1, "L0": 2.5}, "l1": {"L0": None, "features": 64, "law": "power"}}
    table = site_board({"toy": {"site": numbers}}, "toy", "site", ["l1", "neurons"])
    assert (table.metrics, table.leading) == (["features", "L0", "zeta", "law"], 2)
    assert {row: [cell.text for cell in cells] for row, cells in table.rows.items()} == {
        "l1": ["64", "–", "–", "power"],
        "neurons": ["–", "2.5", "1", "–"],
    }
    assert [cell.sorts for cell in table.rows["l1"]] == ["64", "", "", ""]
