"""What weights out of a site see of directions."""

import numpy as np
import pytest
import torch

from polysem.tables.parts.null_space import SeenRows, column_space, null_share, random_null_share


@pytest.mark.parametrize("weakest", [1.0, 1e-3, 5e-5])
def test_a_basis_is_orthonormal_and_spans_the_columns_however_weak_one_is(weakest):
    random = np.random.default_rng(0)
    left, _ = np.linalg.qr(random.standard_normal((30, 4)))
    right, _ = np.linalg.qr(random.standard_normal((4, 4)))
    weights = torch.from_numpy(left * [3, 2, 1, 3 * weakest] @ right).float()
    basis = column_space(weights).double().numpy()
    assert basis.shape == (30, 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(basis @ basis.T @ left[:, :3], left[:, :3], atol=1e-5)


def test_what_only_rounding_adds_is_not_seen():
    weights = torch.eye(20)[:, :4].clone()
    weights[:, 3] = weights[:, 0] * (1 + 1e-7)
    assert column_space(weights).shape == (20, 3)


@pytest.mark.parametrize(("beyond", "known"), [(0.0, True), (1e-6, True), (5e-6, False), (1e-2, False)])
def test_the_way_from_what_is_seen_is_known_where_less_than_rounding_is_lost(beyond, known):
    """A millionth of the norm of weights, which is 2 here."""
    weights = torch.tensor([[1.4142135, 0.0], [0.0, 1.4142135], [beyond, 0.0]])
    found = SeenRows(torch.eye(3)[:, :2], torch.zeros(1, 2)).onward(weights)
    assert (found is not None) == known
    if known:
        torch.testing.assert_close(found, weights[:2])


def test_the_share_in_the_null_space_is_what_is_not_seen():
    found = null_share(np.array([1.0, 3, 0, 2.0000001, 0]), np.array([4.0, 4, 2, 2, 0]))
    np.testing.assert_allclose(found, [0.75, 0.25, 1, 0, np.nan])


def test_random_directions_lose_a_share_of_the_beta_distribution():
    found = random_null_share(10, 4, 3)
    np.testing.assert_array_equal(found, np.random.default_rng(3).beta(3, 2, 4096))
    drawn = np.random.default_rng(0).standard_normal((4096, 10)) ** 2
    shares = drawn[:, 4:].sum(1) / drawn.sum(1)
    np.testing.assert_allclose(np.quantile(found, [0.1, 0.5, 0.9]), np.quantile(shares, [0.1, 0.5, 0.9]), atol=0.02)
    assert random_null_share(10, 10, 3).tolist() == [0] * 4096
