"""The agreement of recognisers with tags, by a case worked by hand."""

import numpy as np
import pytest

from polysem.tables.parts.recognised import FEWEST, _f1_by_tag


def test_an_f1_needs_as_many_tagged_tokens_as_the_fewest():
    hits = np.array([[5, 5], [8, 8], [FEWEST, FEWEST - 1]])  # both, found, tagged
    found = _f1_by_tag(["enough", "too few"], hits)
    assert found["enough"] == pytest.approx(2 * 5 / (8 + FEWEST))
    assert np.isnan(found["too few"])
