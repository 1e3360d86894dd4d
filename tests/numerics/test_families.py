"""Families of twins, against a slow way of finding the same and by hand."""

import itertools

import numpy as np
import pytest

from polysem.numerics.families import families


def slow(pairs, strength, count):
    """Sets that are looked through again for every pair."""
    twins = {frozenset(pair) for pair in pairs}
    groups = [{one} for one in range(count)]
    for place in sorted(range(len(pairs)), key=lambda place: -strength[place]):
        one, other = (next(group for group in groups if member in group) for member in pairs[place])
        if one is not other and all(frozenset(both) in twins for both in itertools.product(one, other)):
            groups.remove(other)
            one |= other
    found = np.full(count, -1)
    for number, group in enumerate(sorted(sorted(group) for group in groups if len(group) > 1)):
        found[group] = number
    return found


def found(pairs, strength, count):
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return families(first, second, np.array(strength, float), count)


@pytest.mark.parametrize("seed", range(20))
def test_families_are_those_of_sets_that_grow_pair_by_pair(seed):
    random = np.random.default_rng(seed)
    count = 24
    near = random.random((count, count)) < random.uniform(0.05, 0.9)
    blocks = np.equal.outer(*[random.integers(5, size=count)] * 2) & (random.random((count, count)) < 0.9)
    pairs = [pair for pair in itertools.combinations(range(count), 2) if (near[pair] and seed % 2) or blocks[pair]]
    strength = random.integers(4, size=len(pairs)) / 4  # many are equal
    assert found(pairs, strength, count).tolist() == slow(pairs, strength, count).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_every_two_of_a_family_are_twins_and_no_two_families_could_be_one(seed):
    random = np.random.default_rng(seed)
    pairs = [pair for pair in itertools.combinations(range(30), 2) if random.random() < 0.5]
    family = found(pairs, random.random(len(pairs)), 30)
    members = [np.flatnonzero(family == number).tolist() for number in range(family.max() + 1)]
    members += [[one] for one in np.flatnonzero(family < 0)]
    for group in members:
        assert set(itertools.combinations(group, 2)) <= set(pairs)
    for one, other in itertools.combinations(members, 2):
        assert not {tuple(sorted(both)) for both in itertools.product(one, other)} <= set(pairs)


def test_a_chain_of_twins_is_no_family():
    # 0–1 and 1–2 are twins, 0 and 2 are not: the stronger pair stays, and 2 is in none.
    assert found([(0, 1), (1, 2)], [0.95, 0.91], 4).tolist() == [0, 0, -1, -1]
    assert found([(0, 1), (1, 2)], [0.91, 0.95], 4).tolist() == [-1, 0, 0, -1]
    # With the third pair they are a triplet, and a thing that only one of them is a twin of stays outside.
    assert found([(0, 1), (1, 2), (0, 2), (2, 3)], [0.95, 0.91, 0.92, 0.9], 4).tolist() == [0, 0, 0, -1]
    # Unless it is nearer to that one than the others are, which leaves these two.
    assert found([(0, 1), (1, 2), (0, 2), (2, 3)], [0.95, 0.91, 0.92, 0.99], 4).tolist() == [0, 0, 1, 1]


def test_a_long_chain_falls_into_pairs():
    assert found([(n, n + 1) for n in range(6)], [0.95, 0.9, 0.95, 0.9, 0.95, 0.9], 7).tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        -1,
    ]


def test_nothing_has_no_families():
    assert found([], [], 3).tolist() == [-1, -1, -1]
    assert found([], [], 0).tolist() == []


def test_a_clique_of_many_is_one_family():
    pairs = [*itertools.combinations(range(300), 2)]
    assert found(pairs, np.random.default_rng(0).random(len(pairs)), 301).tolist() == [0] * 300 + [-1]
