"""Agreement between raters."""

from itertools import permutations

import numpy as np
import pytest

from polysem.numerics.reliability import krippendorff_alpha

NAN = np.nan
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
"""The example of Krippendorff (2011), four observers and twelve units, one of which a single observer saw."""


def slow_alpha(ratings):
    """By the definition: pairs of ratings within units, and of all pairable ratings, one by one."""
    units = [[value for value in unit if np.isfinite(value)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) >= 2]
    every = [value for unit in units for value in unit]
    observed = sum(
        (one - other) ** 2 / (len(unit) - 1) for unit in units for one, other in permutations(unit, 2)
    ) / len(every)
    expected = sum((one - other) ** 2 for one, other in permutations(every, 2)) / (len(every) * (len(every) - 1))
    return 1 - observed / expected


def test_the_published_example_has_the_published_alpha():
    assert krippendorff_alpha(PUBLISHED)[0] == pytest.approx(0.849, abs=5e-4)
    assert slow_alpha(PUBLISHED) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_all_pairs_whatever_is_missing_and_wherever_zero_lies(seed):
    draw = np.random.default_rng(seed)
    ratings = draw.integers(0, 15, (3, 20)).astype(float)
    ratings[draw.random(ratings.shape) < 0.3] = NAN
    assert krippendorff_alpha(ratings)[0] == pytest.approx(slow_alpha(ratings), abs=1e-12)
    assert krippendorff_alpha(ratings + 1e6)[0] == pytest.approx(slow_alpha(ratings), abs=1e-6)


def test_those_who_agree_have_one_and_those_who_contradict_each_other_less_than_nothing():
    same = np.array([[0, 3, 14, 2], [0, 3, 14, 2]], float)
    assert krippendorff_alpha(same)[0] == 1
    against = np.array([[0, 14, 0, 14], [14, 0, 14, 0]], float)
    assert krippendorff_alpha(against)[0] == pytest.approx(slow_alpha(against)) and slow_alpha(against) < -0.5


@pytest.mark.parametrize(
    "ratings",
    [[[1.0, 2.0, 3.0]], [[1, NAN, 3], [NAN, 2, NAN]], [[5.0, 5.0], [5.0, 5.0]]],
    ids=["one rater", "no item in common", "all equal"],
)
def test_where_nothing_can_be_compared_there_is_no_number(ratings):
    assert np.isnan(krippendorff_alpha(np.array(ratings))).all()


def test_the_interval_lies_around_alpha_and_draws_whole_items():
    alpha, low, high = krippendorff_alpha(PUBLISHED, 3)
    assert low < alpha < high <= 1
    pairable = PUBLISHED[:, np.isfinite(PUBLISHED).sum(axis=0) >= 2]
    generator, slow = np.random.default_rng(3), []
    for _ in range(1000):
        times = generator.multinomial(11, np.full(11, 1 / 11))
        slow.append(slow_alpha(np.repeat(pairable, times, axis=1)))
    assert (low, high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=1e-9)
