"""Features of a small dictionary that larger ones split."""

import numpy as np
import pytest

from polysem.tables.passes.comparison import size_table, splitting
from polysem.tables.passes.comparison.splitting import Leaf, Split, evenly, showcase, split, tree, two_dimensions


def test_parents_and_children_worked_by_hand():
    small = np.eye(3, dtype=np.float32)
    large = np.array([[1, 0, 0], [3, 4, 0], [4, 3, 0], [0, 0, -1]], np.float32)
    found = split(small, large, 0)
    assert found.parent[:3].tolist() == [0, 1, 0]
    assert found.cosine.tolist() == pytest.approx([1, 0.8, 0.8, 0], abs=1e-6)
    assert found.children(3, 0.5).tolist() == [2, 1, 0]
    assert found.children(3, 0.9).tolist() == [1, 0, 0]


def test_features_are_counted_by_their_children_from_the_threshold_on():
    """Of the smaller dictionary's six features, 0 has four children, 1 one, 2 one below the threshold, 3 three."""
    level = Split(
        np.array([0, 0, 0, 0, 1, 2, 3, 3, 3]), np.array([0.9, 0.5, 0.6, 0.7, 0.5, 0.49, 0.8, 0.8, 0.8]), np.zeros(9)
    )
    last = Split(np.array([0, 0, 8]), np.full(3, 0.9), np.zeros(3))
    found = size_table._levels([level, last], [6, 9, 3], 0.5)
    assert found["children"].values.tolist() == [0, 1, 2, 3]
    assert found["features_by_children"].values.tolist() == [[3, 1, 0, 2], [7, 1, 1, 0]]
    np.testing.assert_allclose(found["childless_share"], [3 / 6, 7 / 9])
    np.testing.assert_allclose(found["split_share"], [2 / 6, 1 / 9])


def test_permuted_rows_have_no_parent_but_by_chance():
    rows = np.zeros((300, 400), np.float32)
    rows[np.arange(300), np.arange(300)] = 1
    rows[np.arange(300), np.arange(300) + 50] = 1
    found = split(rows, rows, 0)
    assert found.cosine.min() == pytest.approx(1)
    assert (found.random < 0.9).mean() > 0.95


def test_the_showcase_follows_descendants_through_all_sizes():
    first = Split(np.array([0, 1, 1, 2]), np.array([0.9, 0.7, 0.8, 0.2]), np.zeros(4))
    second = Split(np.array([2, 1, 0, 2, 3]), np.array([0.9, 0.6, 0.9, 0.4, 0.9]), np.zeros(5))
    found = showcase([first, second], [3, 4, 5], 0.5)
    assert found == [Leaf(0, 1), Leaf(1, 2), Leaf(1, 1), Leaf(2, 0), Leaf(2, 1)]


def test_six_features_and_six_relatives_of_each_are_shown_those_with_most_children_first():
    """Feature 2 has eight children, features 3 to 9 have two each."""
    parent = np.r_[np.full(8, 2), np.repeat(np.arange(3, 10), 2)]
    cosine = np.r_[np.linspace(0.9, 0.6, 8), np.full(14, 0.7)]
    found = showcase([Split(parent, cosine, np.zeros(22))], [10, 22], 0.5)
    assert [leaf.feature for leaf in found if leaf.dictionary == 0] == [2, 3, 4, 5, 6, 7]
    assert [leaf.feature for leaf in found[1:7]] == [0, 1, 2, 3, 4, 5]
    assert found[7] == Leaf(0, 3)


def test_a_feature_of_exactly_the_cosine_descends():
    found = showcase([Split(np.array([0, 0]), np.array([0.5, 0.75]), np.zeros(2))], [1, 2], 0.5)
    assert found == [Leaf(0, 0), Leaf(1, 1), Leaf(1, 0)]
    assert showcase([Split(np.array([0, 0]), np.array([0.49, 0.75]), np.zeros(2))], [1, 2], 0.5) == []


@pytest.mark.parametrize(("rows", "neighbours"), [(40, 15), (10, 9)])
def test_a_map_is_made_of_the_fifteen_nearest_rows_where_there_are_so_many(monkeypatch, rows, neighbours):
    class AskedError(Exception):  # before UMAP, which takes seconds
        pass

    def asked(unit, count):
        assert count == neighbours
        raise AskedError

    monkeypatch.setattr(splitting, "_neighbours", asked)
    with pytest.raises(AskedError):
        two_dimensions(np.random.default_rng(0).standard_normal((rows, 4)).astype(np.float32), 0)


def test_without_a_feature_that_splits_there_is_no_showcase():
    assert showcase([Split(np.array([0, 1]), np.array([0.9, 0.9]), np.zeros(2))], [2, 2], 0.5) == []


def test_the_tree_joins_the_nearest_rows_first_at_their_cosine_distance():
    rows = np.array([[1, 0], [0, 1], [3, 4]], np.float32)
    merges = tree(rows)
    assert sorted(merges[0, :2]) == [1, 2]
    assert merges[0, 2] == pytest.approx(1 - 0.8)
    assert merges[1, 2] == pytest.approx((1 + (1 - 0.6)) / 2)  # the mean distance of row 0 to rows 1 and 2


def test_a_large_dictionary_is_thinned_out_evenly_and_a_small_one_is_whole():
    assert [len(some) for some in evenly([10, 30], 100)] == [10, 30]
    assert [len(some) for some in evenly([4000, 8000])] == [2000, 4000]
    assert [len(some) for some in evenly([10_000, 1])] == [5999, 1]
    thinned = evenly([1000, 3000], 400)
    assert [len(some) for some in thinned] == [100, 300]
    assert (thinned[1][0], thinned[1][-1]) == (0, 2999)


def test_neighbours_are_the_nearest_rows_at_distances_from_0_on():
    """Rows that are the same have cosines that float32 rounds to a little above 1, too."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((60, 37)).astype(np.float32)
    rows[30:] = rows[:30]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert (unit @ unit.T).max() > 1
    index, distance = splitting._neighbours(unit, 7)
    exact = 1 - unit.astype(np.float64) @ unit.T.astype(np.float64)
    np.fill_diagonal(exact, -1)
    assert (index[:, 0] == np.arange(60)).all()
    assert (index[:, 1] == (np.arange(60) + 30) % 60).all()
    np.testing.assert_allclose(distance[:, 2:], np.sort(exact, axis=1)[:, 2:7], atol=1e-6)
    assert (distance[:, 0] == 0).all() and (distance >= 0).all()


def test_the_map_is_the_same_twice_and_keeps_clusters_together():
    random = np.random.default_rng(0)
    centres = np.eye(3, 40)
    rows = np.repeat(centres, 30, axis=0) + 0.02 * random.standard_normal((90, 40))
    first, second = (two_dimensions(rows.astype(np.float32), 0) for _ in range(2))
    assert (first == second).all()
    middle = first.reshape(3, 30, 2).mean(axis=1)
    spread = np.linalg.norm(first.reshape(3, 30, 2) - middle[:, None], axis=-1).max()
    between = min(np.linalg.norm(middle[a] - middle[b]) for a, b in [(0, 1), (0, 2), (1, 2)])
    assert between > spread
