import numpy as np
import pytest
import torch

from polysem.tables.parts.decoder_cosines import (
    histogram,
    mean_and_variance,
    moments,
    pair_cosines,
    random_rows,
)


def test_short_rows_have_the_cosines_of_long_ones_and_rows_of_zeros_have_0():
    rows = torch.tensor([[1e-9, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 2.0]])
    found = pair_cosines(rows, np.arange(4))
    root = 0.5**0.5
    np.testing.assert_allclose(found, [root, 0, 0, 0, root, 0], atol=1e-6)


def test_pairs_are_of_1024_rows_that_are_evenly_spread():
    rows = torch.randn(5000, 6, generator=torch.Generator().manual_seed(0))
    found = pair_cosines(rows, np.arange(100, 5000))
    assert len(found) == 1024 * 1023 // 2
    chosen = 100 + np.linspace(0, 4899, 1024).astype(int)
    unit = torch.nn.functional.normalize(rows[chosen].double(), dim=1).numpy()
    np.testing.assert_allclose(found, (unit @ unit.T)[np.triu_indices(1024, 1)], atol=1e-6)
    assert len(pair_cosines(rows, np.array([7]))) == 0
    assert len(pair_cosines(rows, np.array([7, 9]))) == 1


def test_random_rows_are_1024_and_follow_the_seed():
    assert random_rows(5, 0).shape == (1024, 5)
    assert torch.equal(random_rows(5, 1), random_rows(5, 1))
    assert not torch.equal(random_rows(5, 1), random_rows(5, 2))


def test_moments_tell_mean_and_variance_of_all_pairs():
    rows = torch.randn(700, 5, generator=torch.Generator().manual_seed(0)) + 0.5
    chosen = np.arange(3, 700, 2)
    found = moments(rows, chosen)
    whole = moments(rows, chosen[:100]) + moments(rows, chosen[100:])
    unit = torch.nn.functional.normalize(rows[chosen].double(), dim=1).numpy()
    cosines = (unit @ unit.T)[np.triu_indices(len(chosen), 1)]
    for one in (found, whole):
        assert one.rows == len(chosen)
        assert one.mean_and_variance() == pytest.approx((cosines.mean(), cosines.var()), rel=1e-4)
    assert mean_and_variance(cosines) == pytest.approx((cosines.mean(), cosines.var()))
    assert np.isnan(moments(rows, chosen[:1]).mean_and_variance()).all()
    assert np.isnan(mean_and_variance(np.zeros(0, np.float32))).all()


def test_cosines_are_counted_in_400_bins_with_rounding_beyond_1_in_the_last():
    found = histogram(np.array([-1.0000001, -0.9951, 0.0, 1.0000001], np.float32))
    assert (len(found), found.sum()) == (400, 4)
    assert np.flatnonzero(found).tolist() == [0, 200, 399]
    assert found[0] == 2
