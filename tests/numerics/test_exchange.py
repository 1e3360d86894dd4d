"""Members that change places within their groups."""

from collections import Counter

import numpy as np

from polysem.numerics.exchange import exchanged


def test_members_change_places_within_their_groups_alone():
    group = np.random.default_rng(0).integers(6, size=500)
    order = exchanged(group, 1)
    assert sorted(order.tolist()) == [*range(500)]
    assert np.array_equal(group[order], group)
    assert (order != np.arange(500)).mean() > 0.9
    assert not np.array_equal(order, exchanged(group, 2)) and np.array_equal(order, exchanged(group, 1))


def test_all_orders_of_a_group_are_equally_likely():
    # Three of one group stand between others: six orders, each 1/6 of 3,000 draws, 500 ± 20.
    group = np.array([7, 1, 7, 2, 7])
    orders = Counter(tuple(exchanged(group, seed)[[0, 2, 4]].tolist()) for seed in range(3000))
    assert len(orders) == 6 and min(orders.values()) > 400
    assert set(orders) == {(0, 2, 4), (0, 4, 2), (2, 0, 4), (2, 4, 0), (4, 0, 2), (4, 2, 0)}
    assert exchanged(group, 0)[[1, 3]].tolist() == [1, 3]
