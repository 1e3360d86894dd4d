"""All pairs of features that correlate, against NumPy's correlations one by one."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from polysem.tables.passes.comparison import correlated_pairs as module
from polysem.tables.passes.comparison.codes import Codes
from polysem.tables.passes.comparison.correlated_pairs import PairSearch

TOKENS, FEATURES = 700, 60


def activations(seed: int, share: float) -> np.ndarray:
    """Half of the features drawn, of very different frequencies, and the other half like them, more or less."""
    random = np.random.default_rng(seed)
    f = random.exponential(size=(TOKENS, FEATURES)) + random.random(FEATURES)
    f *= random.random((TOKENS, FEATURES)) < 2 * share * random.random(FEATURES)
    for feature in range(FEATURES // 2):
        noise = 1 + 0.4 * random.random() * random.standard_normal(TOKENS)
        kept = random.random(TOKENS) < 1 - 0.2 * random.random()
        f[:, FEATURES // 2 + feature] = random.uniform(0.1, 10) * f[:, feature] * noise.clip(0) * kept
    f[:, 4] = 0.5 + 0.01 * f[:, 4]  # always active, and hardly ever much
    f[:, 5] = 1.0
    f[9:, 6] = 0
    return f.astype(np.float32)


def slow(f: np.ndarray, least: float, order: np.ndarray) -> dict[tuple[int, int], float]:
    active = (f > 0).sum(0)
    found = {}
    for one, other in itertools.combinations(np.flatnonzero((active >= 10) & (f.std(0) > 0)), 2):
        more, fewer = (one, other) if active[one] >= active[other] else (other, one)
        correlation = np.corrcoef(f[:, more].astype(float), f[order, fewer].astype(float))[0, 1]
        if correlation >= least:
            found[int(one), int(other)] = correlation
    return found


@pytest.mark.parametrize("share", [0.04, 0.5])
@pytest.mark.parametrize("tile", [7, 512])
@pytest.mark.parametrize("dense_work", [0, 1e12], ids=["sparse", "dense"])
def test_pairs_are_those_of_numpy_one_by_one(share, tile, dense_work, monkeypatch):
    monkeypatch.setattr(module, "TILE", tile)
    monkeypatch.setattr(module, "DENSE_WORK", dense_work)
    counts = []
    for seed, least, shuffled in [(0, 0.3, False), (1, 0.6, False), (2, 0.9, False), (3, 0.97, False), (4, 0.1, True)]:
        f = activations(seed, share)
        order = np.random.default_rng(seed).permutation(TOKENS) if shuffled else np.arange(TOKENS)
        found = PairSearch(Codes(sparse.csc_array(f, dtype=np.float64)), least).pairs(order if shuffled else None)
        wanted = slow(f, least, order)
        pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
        assert pairs == sorted(wanted)
        assert found.correlation == pytest.approx([wanted[pair] for pair in pairs], abs=1e-9)
        counts.append(len(pairs))
    assert all(count > 5 for count in counts[:3]) and counts[4]


def test_the_result_is_the_same_to_the_bit_whichever_product_found_it(monkeypatch):
    codes = Codes(sparse.csc_array(activations(5, 0.2), dtype=np.float64))
    found = []
    for work, entries in ((0, module.ENTRIES), (1e12, module.ENTRIES), (0, 1)):
        monkeypatch.setattr(module, "DENSE_WORK", work)
        monkeypatch.setattr(module, "ENTRIES", entries)
        found.append(PairSearch(codes, 0.5).pairs())
    assert len({one.correlation.tobytes() for one in found}) == 1 and len(found[0]) > 10


def test_a_sparse_product_does_not_look_at_the_small_activations(monkeypatch):
    """With the large ones alone it has less to multiply, and a bound for what the rest may add."""
    f = np.zeros((TOKENS, 2))
    f[:20, 0] = 10
    f[20:400, 0] = 0.1
    f[:20, 1] = 10
    codes = Codes(sparse.csc_array(f))
    tile = module._tile(codes, np.array([0, 1]), 0, 0.9)
    assert np.diff(tile.largest.indptr).tolist()[0] <= 20
    assert len(PairSearch(codes, 0.9).pairs()) == 1


def test_a_correlation_worked_by_hand():
    # 40 tokens, each active on 10 of them, 9 of which both share: means 1/4, covariance 9/40 − 1/16 = 13/80, variance
    # 3/16: 13/15. A third one is twice the first.
    f = np.zeros((40, 3))
    f[:10, 0] = f[1:11, 1] = 1
    f[:10, 2] = 2
    found = PairSearch(Codes(sparse.csc_array(f)), 0.86).pairs()
    assert [*zip(found.first.tolist(), found.second.tolist(), strict=True)] == [(0, 1), (0, 2), (1, 2)]
    assert found.correlation == pytest.approx([13 / 15, 1, 13 / 15])
    assert len(PairSearch(Codes(sparse.csc_array(f)), 0.87).pairs()) == 1


def test_features_on_too_few_tokens_for_a_twin_are_told_by_hand():
    f = np.zeros((100, 1))
    f[:10, 0] = [4, 4, 4, 4, 4, 1, 1, 1, 1, 1]
    # Without the five 4s, 95 tokens are left with sum 5 and squares 5: SS = 5 − 25/95 = 4.7368. All have sum 25 and
    # squares 85: SS = 85 − 6.25 = 78.75. So on five tokens the correlation can be √(1 − 4.7368/78.75) = 0.96946, and on
    # four it cannot exceed √(1 − (21 − 81/96)/78.75) = 0.86275.
    codes = Codes(sparse.csc_array(f))
    for least, fewest in ((0.96, 5), (0.969, 5), (0.97, 6), (0.862, 4), (0.864, 5)):
        assert module._tile(codes, np.array([0]), 0, least).fewest == fewest


@pytest.mark.parametrize("least", [0, -0.5, 1.1])
def test_a_limit_that_is_none_is_refused(least):
    with pytest.raises(ValueError, match=f"at least {least}"):
        PairSearch(Codes(sparse.csc_array(np.ones((4, 1)))), least).pairs()


def test_where_nothing_is_active_there_are_no_pairs():
    assert len(PairSearch(Codes(sparse.csc_array(np.zeros((30, 3)))), 0.5).pairs()) == 0
