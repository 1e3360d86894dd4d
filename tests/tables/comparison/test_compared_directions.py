"""Directions of dictionaries against each other."""

import numpy as np
import pytest

from polysem.tables.passes.comparison import directions
from polysem.tables.passes.comparison.directions import cosine, logit_correlation, nearest, neurons_permuted


def test_the_nearest_row_is_that_of_a_slow_search(monkeypatch):
    monkeypatch.setattr(directions, "TILE", 3)
    random = np.random.default_rng(0)
    left, right = random.standard_normal((8, 5)).astype(np.float32), random.standard_normal((6, 5)).astype(np.float32)
    value, feature = nearest(left, right)
    for row, one in enumerate(left):
        slow = [float(one @ other) / np.linalg.norm(one) / np.linalg.norm(other) for other in right]
        assert feature[row] == np.argmax(slow)
        assert value[row] == pytest.approx(max(slow), abs=1e-6)


def test_permuted_rows_keep_their_weights():
    rows = np.random.default_rng(1).standard_normal((4, 30)).astype(np.float32)
    permuted = neurons_permuted(rows, 0)
    assert (np.sort(permuted, axis=1) == np.sort(rows, axis=1)).all()
    assert not (permuted == rows).all()


def test_logit_weights_correlate_as_if_they_were_written_out():
    random = np.random.default_rng(2)
    left, right = random.standard_normal((5, 4)), random.standard_normal((5, 3))
    ours, theirs = random.standard_normal((4, 50)) + 3, random.standard_normal((3, 50)) - 1
    found = logit_correlation(left, ours, right, theirs)
    slow = [np.corrcoef(a @ ours, b @ theirs)[0, 1] for a, b in zip(left, right, strict=True)]
    assert found == pytest.approx(slow, abs=1e-12)
    assert logit_correlation(left, ours, left, ours) == pytest.approx(np.ones(5))


def test_logit_weights_over_other_vocabularies_have_no_correlation():
    with pytest.raises(ValueError, match="50 and 49 tokens"):
        logit_correlation(np.ones((1, 2)), np.ones((2, 50)), np.ones((1, 2)), np.ones((2, 49)))


def test_a_feature_that_moves_all_tokens_alike_has_no_logit_correlation():
    assert np.isnan(logit_correlation(np.ones((1, 2)), np.ones((2, 5)), np.ones((1, 2)), np.eye(2, 5))).all()


def test_a_cosine_worked_by_hand():
    assert cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))
