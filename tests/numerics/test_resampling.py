"""Bootstrap intervals."""

import numpy as np
import pytest

from polysem.numerics import resampling
from polysem.numerics.resampling import (
    interval_of_difference,
    interval_of_sums,
    interval_of_values,
    intervals_of_means,
)


def ratio(sums):
    return sums["part"] / sums["whole"]


def test_the_interval_of_a_ratio_holds_the_truth_about_as_often_as_it_says():
    """Sequences of several lengths whose tokens hit with probability 0.3, more alike within a sequence than between."""
    random, inside = np.random.default_rng(0), 0
    for seed in range(100):
        whole = random.integers(20, 60, 80)
        part = random.binomial(whole, np.clip(0.3 + 0.1 * random.standard_normal(80), 0, 1))
        low, high = interval_of_sums({"part": part, "whole": whole}, ratio, seed)
        inside += low <= 0.3 <= high
    assert 88 <= inside <= 99


@pytest.mark.parametrize("together", [1 << 22, 100])
def test_the_interval_of_a_median_is_that_of_a_thousand_resamples_one_by_one(monkeypatch, together):
    monkeypatch.setattr(resampling, "TOGETHER", together)
    values = np.r_[np.random.default_rng(1).exponential(size=41), np.nan, np.inf]
    generator = np.random.default_rng(5)
    slow = [np.median(values[generator.integers(41, size=41)]) for _ in range(1000)]
    expected = tuple(np.quantile(slow, [0.025, 0.975]))
    assert interval_of_values(values, seed=5) == pytest.approx(expected, rel=1e-12)
    assert interval_of_values(values, np.mean, 3) != interval_of_values(values, np.mean, 5)


@pytest.mark.parametrize("together", [1 << 22, 100])
def test_the_interval_of_a_difference_draws_from_each_by_itself(monkeypatch, together):
    monkeypatch.setattr(resampling, "TOGETHER", together)
    draw = np.random.default_rng(1)
    ones, others = np.r_[draw.exponential(size=9), np.nan], draw.normal(size=40)
    first, second = (np.random.default_rng([5, number]) for number in (0, 1))
    slow = [ones[first.integers(9, size=9)].mean() - others[second.integers(40, size=40)].mean() for _ in range(1000)]
    expected = tuple(np.quantile(slow, [0.025, 0.975]))
    assert interval_of_difference(ones, others, np.mean, 5) == pytest.approx(expected, rel=1e-12)
    assert interval_of_difference(others, ones, np.mean, 5) != pytest.approx(expected)


def test_the_interval_of_a_difference_holds_the_truth_about_as_often_as_it_says():
    draw, inside = np.random.default_rng(0), 0
    for seed in range(100):
        low, high = interval_of_difference(draw.normal(3, 1, 30), draw.normal(1, 2, 50), np.mean, seed)
        inside += low <= 2 <= high
    assert 88 <= inside <= 99


def test_a_difference_from_a_single_value_has_no_interval():
    assert np.isnan(interval_of_difference(np.arange(5.0), np.array([1.0, np.nan]))).all()


@pytest.mark.parametrize("together", [1 << 22, 100])
def test_the_interval_of_sums_is_that_of_a_thousand_resamples_one_by_one(monkeypatch, together):
    monkeypatch.setattr(resampling, "TOGETHER", together)
    random = np.random.default_rng(2)
    part, whole = random.random(30), 1 + random.random(30)
    generator = np.random.default_rng(7)
    slow = []
    for _ in range(1000):
        times = generator.multinomial(30, np.full(30, 1 / 30))
        slow.append((times * part).sum() / (times * whole).sum())
    expected = tuple(np.quantile(slow, [0.025, 0.975]))
    assert interval_of_sums({"part": part, "whole": whole}, ratio, 7) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("together", [1 << 22, 100])
def test_the_intervals_of_several_means_are_those_of_each_on_the_same_resamples(monkeypatch, together):
    monkeypatch.setattr(resampling, "TOGETHER", together)
    values = np.random.default_rng(3).integers(0, 25, (2, 3, 40))
    low, high = intervals_of_means(values, 5)
    assert low.shape == high.shape == (2, 3)
    for place in np.ndindex(2, 3):
        of = {"value": values[place], "one": np.ones(40)}
        expected = interval_of_sums(of, lambda sums: sums["value"] / sums["one"], 5)
        assert (low[place], high[place]) == pytest.approx(expected, rel=1e-12)
    assert (intervals_of_means(values, 6)[0] != low).any()
    assert all(np.isnan(ends).all() and ends.shape == (2, 3) for ends in intervals_of_means(values[..., :1]))


def test_two_units_can_be_resampled():
    assert np.isfinite(interval_of_values(np.array([1.0, 2.0]))).all()
    assert np.isfinite(interval_of_sums({"part": np.ones(2), "whole": np.ones(2)}, ratio)).all()


def test_what_cannot_be_resampled_has_no_interval():
    assert np.isnan(interval_of_values(np.array([1.0, np.nan]))).all()
    assert np.isnan(interval_of_sums({"part": np.ones(1), "whole": np.ones(1)}, ratio)).all()
    assert np.isnan(interval_of_sums({"part": np.ones(3), "whole": np.array([0.0, 0.0, 1.0])}, ratio)).all()


@pytest.mark.parametrize("together", [1 << 22, 100])
def test_intervals_of_ratios_are_those_of_a_thousand_resamples_without_those_of_nothing(monkeypatch, together):
    monkeypatch.setattr(resampling, "TOGETHER", together)
    random = np.random.default_rng(3)
    part, whole = random.random((2, 12)), np.zeros((2, 12))
    whole[0] = 1 + random.random(12)
    part[1, 1:], whole[1, 0] = 0, 2  # a resample without the first unit has 0 / 0
    low, high = resampling.intervals_of_ratios(part, whole, 4)
    generator = np.random.default_rng(4)
    draws = [generator.multinomial(12, np.full(12, 1 / 12)) for _ in range(1000)]
    for row in range(2):
        slow = [(drawn @ part[row]) / (drawn @ whole[row]) for drawn in draws if drawn @ whole[row]]
        np.testing.assert_allclose([low[row], high[row]], np.quantile(slow, [0.025, 0.975]), rtol=1e-9)
    assert np.isnan(resampling.intervals_of_ratios(part[:, :1], whole[:, :1])).all()
    assert np.isnan(resampling.intervals_of_ratios(0 * part, 0 * whole)).all()
