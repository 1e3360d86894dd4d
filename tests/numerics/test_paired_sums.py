"""Correlations out of sums over pairs."""

import numpy as np
import pytest

from polysem.numerics.paired_sums import paired_terms, pearson_of_sums


def test_sums_of_parts_give_the_correlation_of_the_whole():
    x, y = np.random.default_rng(1).random((2, 40))
    parts = [paired_terms(x[own], y[own]) for own in (slice(15), slice(15, 40))]
    sums = {name: sum(part[name].sum() for part in parts) for name in parts[0]}
    assert float(pearson_of_sums(sums)) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_by_hand():
    sums = {
        name: np.array([of.sum()]) for name, of in paired_terms(np.array([0.0, 1, 2]), np.array([0.0, 2, 1])).items()
    }
    assert sums["xy"].tolist() == [4] and sums["n"].tolist() == [3]
    assert pearson_of_sums(sums).tolist() == [0.5]
