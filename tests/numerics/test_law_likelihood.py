"""The likelihood of a law, against integrals over all ranks."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.stats

from polysem.numerics.firing_noise import dispersion, probability_at_most
from polysem.numerics.law_likelihood import Likelihood, Ranked, Solution, count_edges

RANKS, FINE = 400, 40
"""Ranks of the law, which are taken as continuous: each as so many."""


def distribution(mean, noise):
    return scipy.stats.poisson(mean) if noise == 1 else scipy.stats.nbinom(mean / (noise - 1), 1 / noise)


def likelihood_of(law, first, last, noise=1.0, ratio=1.5):
    generator = np.random.default_rng(0)
    mean = np.exp(law(np.arange(1, RANKS + 1.0)))
    a, b = (distribution(part, noise).rvs(random_state=generator).astype(float) for part in (ratio * mean, mean))
    order = np.argsort(-a, kind="stable")
    order = order[a[order] > 0]
    return Likelihood(Ranked(a[order], b[order], (15_000, 10_000), RANKS, noise), first, min(last, len(order)))


def numbers(likelihood, level, alpha, length):
    return np.array([level, alpha, likelihood.reference / length])


@pytest.mark.parametrize("noise", [1.0, 3.0])
@pytest.mark.parametrize(("first", "last"), [(1, 119), (120, RANKS)])
def test_probabilities_are_integrals_over_all_ranks(first, last, noise):
    def law(rank):
        return 7 - 0.7 * np.log(rank) - rank / 150

    likelihood = likelihood_of(law, first, last, noise)
    reference = likelihood.reference
    whole = last == RANKS
    if whole:
        likelihood.hidden = RANKS
    found, _ = likelihood.probabilities(numbers(likelihood, law(reference), 0.7, 150))
    rank = 0.5 + (np.arange((RANKS if whole else 10 * RANKS) * FINE) + 0.5) / FINE
    mean = np.exp(likelihood.log_mean(numbers(likelihood, law(reference), 0.7, 150), rank))
    a, b = distribution(1.5 * mean, noise), distribution(mean, noise)
    counts = likelihood.ranked.a
    cut = counts[likelihood.last - 1] if not whole else counts[likelihood.first - 1]
    equal = np.flatnonzero(counts == cut)
    if whole:
        share = (equal[-1] - first + 2) / len(equal)
        placed = a.cdf(cut - 1) + share * a.pmf(cut) - a.pmf(0)
        shown = (1 - a.pmf(0)).sum() / FINE
    else:
        share = (last - equal[0]) / len(equal)
        placed = a.sf(cut) + share * a.pmf(cut)
        shown = len(counts)
    edges = count_edges(likelihood.ranked.b.max())
    expected = np.array([((b.cdf(high - 1) - b.cdf(low - 1)) * placed).sum() for low, high in pairwise(edges)])
    expected /= shown * FINE
    assert found[:-1].sum() == pytest.approx(expected.sum(), rel=0.005)
    np.testing.assert_allclose(found[:-1], expected, rtol=0.02, atol=0.01 * expected.max())
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize(("first", "last"), [(1, 119), (120, RANKS)])
def test_derivatives_are_those_of_small_steps(first, last):
    likelihood = likelihood_of(lambda rank: 7 - 0.7 * np.log(rank) - rank / 150, first, last)
    law = numbers(likelihood, 2.5, 0.7, 150)
    _, change = likelihood.probabilities(law)
    for number in range(3):
        step = np.zeros(3)
        step[number] = 0.02
        high, low = (likelihood.probabilities(law + sign * step)[0] for sign in (1, -1))
        np.testing.assert_allclose(change[:, number], (high - low) / 0.04, atol=0.04 * np.abs(change).max())


def test_no_law_near_the_fitted_one_is_likelier():
    likelihood = likelihood_of(lambda rank: 8 - 0.7 * np.log(rank) - rank / 150, 120, RANKS)
    (best, *_) = likelihood.fits(np.array([*likelihood.start(), 0.1]), np.eye(3))
    likelihood.hidden = best.hidden
    for step in np.vstack([np.eye(3), -np.eye(3)]) * 0.05:
        probability, _ = likelihood.probabilities(best.law + step)
        assert likelihood.counts @ np.log(probability) < best.log_likelihood


@pytest.mark.parametrize("noise", [1.0, 2.5])
def test_counts_have_the_probabilities_of_scipys_distributions(noise):
    count, mean = np.arange(-1, 40)[:, None], np.array([0.1, 3.0, 30.0])
    found = probability_at_most(count, mean, noise)
    np.testing.assert_allclose(found, distribution(mean, noise).cdf(count), atol=1e-12)
    assert (found[0] == 0).all()


@pytest.mark.parametrize("noise", [1.0, 5.0])
def test_the_dispersion_is_found_in_the_difference_of_unequal_halves(noise):
    generator = np.random.default_rng(1)
    tokens = np.array([30_000.0, 90_000.0])
    mean = np.geomspace(1e-4, 1e-1, 3000)[:, None] * tokens
    active = distribution(mean, noise).rvs(random_state=generator)
    assert dispersion(active, tokens) == pytest.approx(noise, rel=0.1)


def test_too_few_firings_tell_no_dispersion():
    assert dispersion(np.array([[9, 0], [0, 9], [100, 0]]), np.array([10.0, 10.0])) == 1


@pytest.mark.parametrize(("first", "last"), [(1, 119), (120, 300)])
def test_a_law_holds_inside_its_range_and_goes_on_with_the_slope_of_its_ends(first, last):
    likelihood = likelihood_of(lambda rank: 7 - 0.7 * np.log(rank), first, last)
    law = np.array([5.0, 0.7, 0.3])
    alpha, length = 0.7, likelihood.reference / 0.3
    inside = np.array([first, first + 1, first + 3, (first + last) // 2, last])
    ratio = (inside / likelihood.reference) ** -alpha * np.exp(-(inside - likelihood.reference) / length)
    np.testing.assert_allclose(np.exp(likelihood.log_mean(law, inside)), np.exp(5) * ratio, rtol=1e-9)
    for end, beyond in ((first, np.array([0.5, 0.25]) * first), (last, np.array([2.0, 5.0]) * last)):
        slope = -(alpha + end / length)
        expected = likelihood.log_mean(law, np.array([end])) + slope * np.log(beyond / end)
        np.testing.assert_allclose(likelihood.log_mean(law, beyond), expected, rtol=1e-9)


def test_a_rising_law_falls_a_little_outside_of_its_range():
    likelihood = likelihood_of(lambda rank: 7 - 0.7 * np.log(rank), 10, 119)
    law = np.array([5.0, -0.5, 0.0])
    assert np.diff(likelihood.log_mean(law, np.array([10.0, 50, 119]))).min() > 0
    for one, other in ((5, 2.5), (200, 400)):
        near, far = likelihood.log_mean(law, np.array([one, other], float))
        assert far - near == pytest.approx(-1e-3 * np.log(other / one))


def test_the_dispersion_of_a_few_features_worked_by_hand():
    """Halves of equal size: (a − b)² / (a + b) of the features that fire ten times or more, here 64/10, 100/20, 0
    and 36/30; the one that fires nine times is none of them."""
    active = np.array([[9, 1], [15, 5], [10, 10], [18, 12], [9, 0]])
    assert dispersion(active, np.array([1000.0, 1000.0])) == 1  # 3.05 is less than two standard errors above 1
    many = np.tile(active, (100, 1))
    assert dispersion(many, np.array([1000.0, 1000.0])) == pytest.approx((6.4 + 5 + 0 + 1.2) / 4)
    # three quarters of the tokens in the first half: (a/4 − b·3/4)² / ((a + b)·3/16)
    uneven = [(a / 4 - 3 * b / 4) ** 2 / ((a + b) * 3 / 16) for a, b in active[:4]]
    assert dispersion(np.tile(active, (1000, 1)), np.array([3.0, 1.0])) == pytest.approx(np.mean(uneven))


def test_without_two_features_that_fire_ten_times_the_dispersion_is_1():
    assert dispersion(np.array([[90, 10], [9, 0], [5, 4]]), np.array([10.0, 10.0])) == 1
    assert dispersion(np.array([[9, 0], [9, 0]]), np.array([10.0, 10.0])) == 1
    assert dispersion(np.array([[10, 0], [10, 0]]), np.array([10.0, 10.0])) == 10
    assert dispersion(np.tile([[10, 10], [12, 11]], (50, 1)), np.array([10.0, 10.0])) == 1


def test_no_count_is_at_most_a_negative_one():
    assert probability_at_most([-1, 0], 2.0, 1.0).tolist() == pytest.approx([0, np.exp(-2)])
    assert probability_at_most([-1, 0], 2.0, 3.0).tolist() == pytest.approx([0, scipy.stats.nbinom(1, 1 / 3).pmf(0)])


def test_a_law_that_would_rise_is_the_same_frequency_at_all_ranks():
    """Of features that all fire alike, the likeliest frequency is their mean, and the bins are those of one Poisson."""
    likelihood = likelihood_of(lambda rank: np.full(len(rank), np.log(40.0)), 1, RANKS)
    b = likelihood.ranked.b
    level = likelihood.never_rising(Solution(np.array([3.0, -0.4, 0.0]), RANKS, 0.0))
    assert level.law[1:].tolist() == [0, 0] and level.hidden == likelihood.hidden == RANKS
    assert np.exp(level.law[0]) == pytest.approx(b.mean(), rel=0.016)
    edges = count_edges(b.max())
    found = np.histogram(b, [*edges[:-1], edges[-1]])[0]
    chance = np.diff(scipy.stats.poisson(b.mean()).cdf(edges - 1))
    assert level.log_likelihood == pytest.approx(float(found @ np.log(chance)), rel=0.005)


@pytest.mark.parametrize("law", [[3.0, 0.4, 0.0], [3.0, 0.0, 0.2], [3.0, 0.0, 0.0]])
def test_a_law_that_does_not_rise_stays_as_it_is(law):
    likelihood = likelihood_of(lambda rank: 7 - 0.7 * np.log(rank), 1, RANKS)
    falling = Solution(np.array(law), RANKS, -1.0)
    assert likelihood.never_rising(falling) is falling


def test_counts_below_16_have_a_bin_each_and_larger_ones_bins_of_8_percent():
    edges = count_edges(100.0)
    assert edges[:18].tolist() == [*range(16), 16, 17]
    assert edges[-2] <= 100 < edges[-1]
    wide = edges[edges >= 30]
    assert (wide[1:] / wide[:-1]).max() <= 1.08 and (wide[1:] / wide[:-1]).min() > 1.03
