"""Which examples are kept as different, by hand and one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysem.numerics.diverse import first_equal, keep_different


def test_the_first_of_equal_keys_by_hand():
    key = np.array([[7, 3, 7, 3, 9, 7], [5, 5, 5, 5, 5, 5]], np.uint64)
    assert first_equal(key, np.array([5, 2])).tolist() == [[0, 1, 0, 1, 4, -1], [0, 0, -1, -1, -1, -1]]
    assert first_equal(key, np.array([0, 1])).tolist() == [[-1] * 6, [0] + [-1] * 5]


def test_keys_behind_the_last_example_equal_nothing():
    largest = ~np.uint64(0)
    assert first_equal(np.array([[largest, 4, largest]], np.uint64), np.array([2])).tolist() == [[0, 1, -1]]


def test_what_is_kept_by_hand():
    """Examples on a line at 0, 1, 5, 2, 6, 20, 5.5: with a distance of 2, those at 0, 5 and 20 are kept. What lies at 2
    is not further than 2 from 0; 6 and 5.5 are nearest to 5."""
    at = np.array([0.0, 1.0, 5.0, 2.0, 6.0, 20.0, 5.5], np.float32)
    found = keep_different(np.abs(at[:, None] - at)[None], np.array([7]), 2.0, 5)
    assert found.kept.tolist() == [[0, 2, 5, -1, -1]]
    assert found.stands_for.tolist() == [[0, 0, 1, 0, 1, 2, 1]]


def test_what_is_similar_to_two_is_stood_for_by_the_nearer_and_by_the_first_of_equals():
    at = np.array([0.0, 10.0, 6.0, 5.0], np.float32)
    found = keep_different(np.abs(at[:, None] - at)[None], np.array([4]), 7.0, 4)
    assert found.kept.tolist() == [[0, 1, -1, -1]]
    assert found.stands_for.tolist() == [[0, 1, 1, 0]]


def test_a_full_list_takes_no_more_and_counts_what_is_similar_all_the_same():
    at = np.array([0.0, 10.0, 20.0, 1.0], np.float32)
    found = keep_different(np.abs(at[:, None] - at)[None], np.array([4]), 2.0, 2)
    assert found.kept.tolist() == [[0, 1]]
    assert found.stands_for.tolist() == [[0, 1, -1, 0]]


def test_what_has_no_direction_is_like_nothing():
    distances = np.full((1, 3, 3), np.nan, np.float32)
    distances[0, 0, 2] = distances[0, 2, 0] = 0.1
    found = keep_different(distances, np.array([3]), 0.3, 3)
    assert found.kept.tolist() == [[0, 1, -1]]
    assert found.stands_for.tolist() == [[0, 1, 0]]


def one_by_one(distances, size, apart, count):
    """The same for one feature, in plain Python."""
    kept, stands_for = [], {}
    for example in range(size):
        near = [(distances[place][example], number) for number, place in enumerate(kept)]
        if all(not distance <= apart for distance, _ in near) and len(kept) < count:
            kept.append(example)
    for example in range(size):
        if example in kept:
            stands_for[example] = kept.index(example)
        else:
            near = [(distances[place][example], number) for number, place in enumerate(kept)]
            alike = sorted(pair for pair in near if pair[0] <= apart)
            stands_for[example] = alike[0][1] if alike else -1
    return kept, [stands_for.get(example, -1) for example in range(len(distances))]


@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([0.0, 0.2, 0.5, 1.0, 2.0]), st.integers(1, 12))
def test_many_features_are_those_found_one_by_one(seed, width, apart, count):
    generator = np.random.default_rng(seed)
    at = generator.integers(0, 6, (4, width)) / 3.0
    distances = np.abs(at[:, :, None] - at[:, None, :]).astype(np.float32)
    distances[0, 0, :] = distances[0, :, 0] = np.nan
    size = generator.integers(0, width + 1, 4)
    found = keep_different(distances, size, apart, count)
    for feature in range(4):
        kept, stands_for = one_by_one(distances[feature], size[feature], apart, count)
        assert found.kept[feature].tolist() == kept + [-1] * (count - len(kept))
        assert found.stands_for[feature].tolist() == stands_for


@pytest.mark.parametrize("count", [1, 3])
def test_no_example_is_kept_of_a_feature_without_any(count):
    found = keep_different(np.zeros((2, 3, 3), np.float32), np.array([0, 3]), 0.5, count)
    assert found.kept.tolist() == [[-1] * count, [0] + [-1] * (count - 1)]
    assert found.stands_for.tolist() == [[-1] * 3, [0] * 3]
