"""How numbers are written in the report."""

import pytest

from polysem.report.numbers import in_words


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
