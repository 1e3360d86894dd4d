"""The four scales of S4.X2, by hand and against slow searches through all activations."""

import math
import subprocess
import sys

import numpy as np
import pytest

from polysem.saes.ranking import PER_MILLE, QUANTILES, SCALES, Distributions, scaled, strongest


def distributions(*features, tokens):
    """Of features given by their active eval activations; knots as the table `quantiles` has them."""
    knots = np.full((len(features), len(PER_MILLE)), np.nan, np.float32)
    for row, values in zip(knots, map(sorted, features), strict=True):
        if values:
            row[:] = [values[max(1, math.ceil(part * len(values) / 1000)) - 1] for part in PER_MILLE]
    maximum = np.array([max(values, default=0) for values in features], np.float32)
    frequency = np.array([len(values) / tokens for values in features], np.float32)
    return Distributions(maximum, frequency, knots, tokens)


def on_scale(values, scale, feature, known):
    return scaled(np.array(values), np.full(len(values), feature), known, scale).tolist()


def test_the_scales_of_a_feature_worked_by_hand():
    """100 active tokens of 400, with the activations 1 … 100."""
    known = distributions(list(range(1, 101)), tokens=400)
    values = [0.5, 1.0, 20.0, 25.0, 98.0, 98.5, 100.0, 150.0]
    assert on_scale(values, "raw", 0, known) == values
    assert on_scale(values, "share", 0, known) == pytest.approx([0.005, 0.01, 0.2, 0.25, 0.98, 0.985, 1.0, 1.5])
    quantiles = [0.0, 0.0, 0.2, 0.25, 0.98, 0.985, 1.0, 1.0]
    assert on_scale(values, "quantile", 0, known) == pytest.approx(quantiles)
    half_a_token = math.log2(800)
    surprises = [-math.log2(0.25 * (1 - share)) for share in quantiles[:-2]] + [half_a_token] * 2
    assert on_scale(values, "surprise", 0, known) == pytest.approx(surprises, rel=1e-6)
    assert surprises[:2] == [2.0, 2.0]


def test_equal_activations_have_the_share_of_the_last_of_them():
    known = distributions([3.0] * 95 + [4.0] * 5, [2.0], tokens=1000)
    assert on_scale([2.9, 3.0, 4.0], "quantile", 0, known) == pytest.approx([0.0, 0.95, 1.0])
    assert on_scale([1.9, 2.0, 2.1], "quantile", 1, known) == [0.0, 1.0, 1.0]


def test_a_feature_that_is_never_active_on_the_eval_tokens_is_at_the_end_of_every_scale():
    known = distributions([1.0, 2.0], [], tokens=50)
    assert [on_scale([7.0], scale, 1, known) for scale in SCALES] == [
        [7.0],
        [1.0],
        [1.0],
        pytest.approx([math.log2(100)]),
    ]


def test_surprise_never_goes_beyond_half_a_token_and_frequent_features_surprise_less():
    frequent, rare = [float(value) for value in range(1, 1001)], [1.0, 2.0]
    known = distributions(frequent, rare, tokens=1000)
    assert (
        on_scale([1e9], "surprise", 0, known)
        == on_scale([1e9], "surprise", 1, known)
        == [pytest.approx(math.log2(2000))]
    )
    assert on_scale([500.0], "surprise", 0, known) == [pytest.approx(1.0)]
    assert on_scale([1.0], "surprise", 1, known) == [pytest.approx(math.log2(1000), rel=1e-6)]  # 1 of 1,000 is larger


def test_what_is_not_active_is_nothing_on_all_scales_but_the_raw_one():
    """Neurons may be below 0, even all of them."""
    known = distributions([1.0, 2.0], [], tokens=10)
    known.maximum[1] = -0.5
    for feature in (0, 1):
        assert on_scale([-3.0, 0.0], "raw", feature, known) == [-3.0, 0.0]
        for scale in SCALES[1:]:
            assert on_scale([-3.0, 0.0], scale, feature, known) == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_within_a_knot_of_the_exact_ones_and_exact_at_the_knots(seed):
    generator = np.random.default_rng(seed)
    active = generator.lognormal(0, 2, int(generator.integers(1, 3000))).astype(np.float32)
    known = distributions(active.tolist(), tokens=5000)
    values = np.concatenate([active, generator.lognormal(0, 2, 500).astype(np.float32), known.knots[0]])
    found = scaled(values, np.zeros(len(values), int), known, "quantile")
    exact = np.array([(active <= value).mean() for value in values])
    for share, true in zip(found, exact, strict=True):
        upper = np.searchsorted(QUANTILES, share + 1e-6)
        assert QUANTILES[max(0, upper - 2)] - 1 / len(active) <= true
        assert true <= QUANTILES[min(upper + 1, len(QUANTILES) - 1)]
    at = found[-len(PER_MILLE) :]
    assert (at <= exact[-len(PER_MILLE) :] + 1e-6).all()
    assert at[-1] == 1
    order = np.argsort(values)
    for scale in SCALES:
        ascending = scaled(values, np.zeros(len(values), int), known, scale)[order]
        assert (np.diff(ascending) >= 0).all(), scale


def test_an_unknown_scale_and_distributions_that_do_not_fit_are_refused():
    known = distributions([1.0], tokens=10)
    with pytest.raises(ValueError, match="there is no scale 'rank'; there are raw, share, quantile, surprise"):
        on_scale([1.0], "rank", 0, known)
    with pytest.raises(ValueError, match=r"knots of the shape \(1, 3\)"):
        Distributions(np.ones(1), np.ones(1), np.ones((1, 3)), 10)
    with pytest.raises(ValueError, match="frequencies of 2"):
        Distributions(np.ones(1), np.ones(2), np.ones((1, len(QUANTILES))), 10)


def test_the_strongest_features_of_a_text_worked_by_hand():
    feature = np.array([4, 1, 4, 2, 1, 3, 0])
    value = np.array([5.0, 2.0, 9.0, 2.0, 2.0, 8.0, 1.0])
    on = np.array([0.5, 0.7, 1.0, 0.7, 0.7, 1.0, 0.1])
    # 4 and 3 stand equal, and 4 is larger as it is; 1 and 2 are equal in both, and of the entries of 1 the first counts
    assert strongest(feature, value, on, 10).tolist() == [2, 5, 1, 3, 6]
    assert strongest(feature, value, on, 3).tolist() == [2, 5, 1]
    assert strongest(feature, value, on, 0).tolist() == []
    nothing = np.zeros(0, int)
    assert strongest(nothing, np.zeros(0), np.zeros(0), 25).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_strongest_features_are_those_of_a_slow_search(seed):
    generator = np.random.default_rng(seed)
    entries = int(generator.integers(1, 400))
    feature = generator.integers(0, 60, entries)
    value = generator.integers(1, 6, entries).astype(np.float32)  # many ties
    known = distributions(
        *(generator.integers(1, 6, generator.integers(0, 30)).tolist() for _ in range(60)), tokens=100
    )
    for scale in SCALES:
        on = scaled(value, feature, known, scale)
        best = {}
        for entry in range(entries):
            own = best.setdefault(feature[entry], entry)
            if (on[entry], value[entry]) > (on[own], value[own]):
                best[feature[entry]] = entry
        ranked = sorted(best.values(), key=lambda entry: (-on[entry], -value[entry], feature[entry]))
        for top in (1, 7, 25, 100):
            assert strongest(feature, value, on, top).tolist() == ranked[:top]


def test_the_module_needs_no_torch():
    code = "import sys; import polysem.saes.ranking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
