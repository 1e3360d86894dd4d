"""S4.X1: the twins that the page of a feature lists."""

import numpy as np

from polysem.explorer.pages.twins import MOST, NO_TWINS, Twins
from polysem.io.columns import Columns
from polysem.layout.place import Place

SAE = Place("m", "blocks.0.mlp.hook_post", "l1-x4")
LATER = Place("m", "blocks.1.mlp.hook_post", "neurons")


def twins(pairs, members, correlation, shared):
    first, second = np.array(pairs).T
    place, feature = np.array(members).T
    arrays = {
        "place_site": np.array([SAE.site, LATER.site], object),
        "place_dictionary": np.array([SAE.dictionary, LATER.dictionary], object),
        "twin_place": place, "twin_feature": feature, "pair_first": first, "pair_second": second,
        "correlation": np.array(correlation), "shared_contexts": np.array(shared),
    }  # fmt: skip
    return Twins(Columns(arrays, {}))


def test_both_members_of_a_pair_have_each_other_and_the_closest_comes_first():
    found = twins([(0, 1), (0, 2)], [(0, 7), (0, 9), (1, 9)], [0.91, 0.987], [0.5, np.nan])
    assert found.of(SAE, 7) == [(LATER, 9, "0.987", "–"), (SAE, 9, "0.91", "50 %")]
    assert found.of(SAE, 9) == [(SAE, 7, "0.91", "50 %")]
    assert found.of(LATER, 9) == [(SAE, 7, "0.987", "–")]
    assert found.of(LATER, 7) == [] and found.count(SAE, 8) == 0


def test_of_many_twins_the_closest_are_listed_and_the_others_counted():
    size = MOST + 5
    members = [(0, number) for number in range(size + 1)]
    correlation = np.linspace(0.9, 1, size)
    found = twins([(0, other) for other in range(1, size + 1)], members, correlation, np.ones(size))
    assert [twin.feature for twin in found.of(SAE, 0)] == list(range(size, size - MOST, -1))
    assert found.count(SAE, 0) == size


def test_a_run_that_looked_for_none_has_none():
    assert Twins(NO_TWINS).of(SAE, 0) == []
