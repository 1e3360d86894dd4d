"""Correlations of features of two dictionaries."""

import numpy as np
import pytest
from scipy import sparse

from polysem.activations.rows import ActivationRows
from polysem.saes.dictionary import Neurons
from polysem.tables.passes.comparison import codes
from polysem.tables.passes.comparison.codes import Codes, best_correlation, correlations, encode, sampled_rows


def made(tokens: int, features: int, share: float, seed: int) -> tuple[Codes, np.ndarray]:
    random = np.random.default_rng(seed)
    dense = random.random((tokens, features)) * (random.random((tokens, features)) < share)
    return Codes(sparse.csc_array(dense)), dense


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_correlations_are_those_of_numpy_one_by_one(share, monkeypatch):
    monkeypatch.setattr(codes, "TILE", 7)
    left, ours = made(900, 20, share, 0)
    right, theirs = made(900, 9, share, 1)
    theirs[:, 3] += ours[:, 11]
    right = Codes(sparse.csc_array(theirs))
    found = np.concatenate([block for _, block in correlations(left, right)])
    for a in range(20):
        for b in range(9):
            few = min((ours[:, a] > 0).sum(), (theirs[:, b] > 0).sum()) < 10
            slow = np.nan if few else np.corrcoef(ours[:, a], theirs[:, b])[0, 1]
            assert found[a, b] == pytest.approx(slow, abs=1e-12, nan_ok=True)
    value, feature = best_correlation(left, right)
    assert feature[11] == 3
    slow = np.where(np.isnan(found), -np.inf, found).max(axis=1)
    assert value == pytest.approx(np.where(np.isfinite(slow), slow, np.nan), nan_ok=True)


def test_the_sparse_and_the_dense_product_agree(monkeypatch):
    left, _ = made(400, 30, 0.1, 2)
    right, _ = made(400, 30, 0.1, 3)
    both = []
    for work in (0, 1e9):
        monkeypatch.setattr(codes, "DENSE_WORK", work)
        both.append(best_correlation(left, right)[0])
    assert both[0] == pytest.approx(both[1], abs=1e-12)


def test_a_correlation_worked_by_hand():
    # 20 tokens, each feature active on 10 of them; they share 5: means 1/2, covariance 5/20 − 1/4 = 0; and −1/4 : 1/4.
    ones = np.zeros((20, 3))
    ones[:10, 0] = ones[5:15, 1] = ones[10:, 2] = 1
    left, right = Codes(sparse.csc_array(ones[:, :1])), Codes(sparse.csc_array(ones[:, 1:]))
    ((_, found),) = correlations(left, right)
    assert found.tolist() == [[0, -1]]


def test_a_feature_that_is_rare_or_always_the_same_has_no_correlation():
    few, same, often = np.zeros((50, 1)), np.ones((50, 1)), np.zeros((50, 1))
    few[:9] = often[:10] = 1
    left = Codes(sparse.csc_array(np.hstack([few, same, often])))
    value, feature = best_correlation(left, left)
    assert feature.tolist() == [-1, -1, 2]
    assert np.isnan(value[:2]).all()
    assert value[2] == pytest.approx(1)


def test_shuffling_keeps_each_feature_and_breaks_what_it_shares_with_others():
    left, _ = made(5000, 3, 0.3, 4)
    shuffled = left.shuffled(0)
    assert shuffled.mean == pytest.approx(left.mean)
    assert shuffled.deviation == pytest.approx(left.deviation)
    assert best_correlation(left, shuffled)[0].max() < 0.1


def test_rows_are_spread_over_the_whole_length():
    assert sampled_rows(5, 100).tolist() == [0, 1, 2, 3, 4]
    assert sampled_rows(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_encoding_takes_the_rows_asked_for_clamps_them_and_permutes_neurons(activation_store):
    values = np.arange(-6, 6, dtype=np.float32).reshape(4, 3)
    rows = ActivationRows(activation_store(values))
    chosen = np.array([1, 3])
    assert encode(rows, chosen, Neurons(3)).matrix.toarray().tolist() == [[0, 0, 0], [3, 4, 5]]
    permuted = encode(rows, chosen, Neurons(3), order=np.array([2, 0, 1]))
    assert permuted.matrix.toarray().tolist() == [[0, 0, 0], [5, 3, 4]]
