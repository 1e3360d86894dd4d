"""Logistic regression: by hand, against scikit-learn, and where there is nothing to fit."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from polysem.numerics import logistic
from polysem.numerics.logistic import DIRECT, fit


def case(columns: int, seed: int = 0, rows: int = 400):
    """Columns of several sizes, some of them correlated, targets that lean on them, and weights of rows."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, columns)) * 10.0 ** random.integers(-3, 3, columns) + 5
    x[:, -1] = x[:, 0] + 0.1 * random.normal(size=rows)
    z = (x - x.mean(0)) / x.std(0)
    y = z[:, :3] + random.normal(size=(rows, 3)) > np.array([0, 0.5, 1.5])
    return x, y, random.uniform(0.5, 4, rows)


@pytest.mark.parametrize("columns", [1, 5, DIRECT - 1, DIRECT + 8])
def test_fits_are_those_of_scikit_learn(columns):
    x, y, weight = case(max(columns, 3))
    x = x[:, :columns]
    penalty = 1e-2
    found = fit(x, y, weight, penalty)
    share = weight / weight.sum()
    centre = share @ x
    z = (x - centre) / np.sqrt(share @ (x - centre) ** 2)
    for target in range(3):
        theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000)
        theirs.fit(z, y[:, target], sample_weight=share)
        odds = theirs.decision_function(z)
        np.testing.assert_allclose(found.log_odds(x)[:, target], odds, atol=2e-3 * np.abs(odds).max())


def test_a_column_that_is_0_or_1_gets_the_log_odds_of_its_groups():
    # Three of four rows with the column carry the target, one of four without it: log-odds of ln 3 and −ln 3.
    x = np.repeat([1.0, 0.0], 4)[:, None]
    y = np.array([1, 1, 1, 0, 1, 0, 0, 0], bool)[:, None]
    found = fit(x, y, np.ones(8), 1e-9)
    np.testing.assert_allclose(found.log_odds(np.array([[1.0], [0.0]]))[:, 0], [np.log(3), -np.log(3)], rtol=1e-5)
    np.testing.assert_allclose([found.weight[0, 0], found.bias[0]], [2 * np.log(3), -np.log(3)], rtol=1e-5)


@pytest.mark.parametrize("columns", [4, DIRECT + 8])
def test_a_weight_of_two_is_a_row_that_stands_there_twice(columns):
    x, y, _ = case(columns)
    twice = fit(np.concatenate([x, x[:100]]), np.concatenate([y, y[:100]]), np.ones(500), 1e-3)
    weighted = fit(x, y, np.where(np.arange(400) < 100, 2.0, 1.0), 1e-3)
    np.testing.assert_allclose(weighted.log_odds(x), twice.log_odds(x), atol=1e-3)


@pytest.mark.parametrize("columns", [4, DIRECT + 8])
def test_targets_together_are_targets_one_by_one(columns):
    x, y, weight = case(columns)
    together = fit(x, y, weight, 1e-3)
    for target in range(3):
        alone = fit(x, y[:, target : target + 1], weight, 1e-3)
        np.testing.assert_allclose(together.log_odds(x)[:, target], alone.log_odds(x)[:, 0], atol=5e-3)


def test_what_can_be_told_without_an_error_has_an_end():
    x = np.r_[np.zeros(50), np.ones(50)][:, None]
    found = fit(x, x > 0, np.ones(100), 1e-3)
    assert ((found.log_odds(x) > 0) == (x > 0)).all()
    assert np.isfinite(found.weight).all()


def test_a_constant_column_has_no_weight():
    x, y, weight = case(3)
    found = fit(np.concatenate([x, np.full((400, 1), 0.1)], axis=1), y, weight, 1e-3)
    assert (found.weight[-1] == 0).all()
    np.testing.assert_allclose(found.weight[:3], fit(x, y, weight, 1e-3).weight, rtol=1e-9)


def test_a_target_of_all_rows_or_of_none_is_refused():
    x, y, weight = case(3)
    for wrong in (np.ones_like(y), np.zeros_like(y)):
        with pytest.raises(ValueError, match="rows with each target and without it"):
            fit(x, wrong, weight, 1e-3)
    with pytest.raises(ValueError, match="penalty above 0"):
        fit(x, y, weight, 0.0)


def test_a_minimum_that_is_not_reached_is_an_error(monkeypatch):
    monkeypatch.setattr(logistic, "STEPS", 1)
    with pytest.raises(FloatingPointError, match="in 1 steps"):
        fit(*case(3), 1e-3)


def test_no_target_is_nothing_to_fit():
    x, y, weight = case(3)
    assert fit(x, y[:, :0], weight, 1e-3).log_odds(x).shape == (400, 0)


def test_a_target_that_is_at_its_minimum_stays_there():
    """Conjugate gradients for two targets, of which the second has no slope left."""
    z, ridge = np.random.default_rng(0).normal(size=(50, 4)), np.full((4, 1), 0.1)
    right = np.stack([np.arange(1.0, 5), np.zeros(4)], axis=1)
    curvature = np.full((50, 2), 0.25)
    step = logistic._conjugate_gradients(z, curvature, ridge, right, np.eye(4))
    assert step[:, 1].tolist() == [0, 0, 0, 0]
    assert np.isfinite(step).all() and np.abs(step[:, 0]).min() > 0
