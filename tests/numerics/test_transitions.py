"""What follows what: counts and chance against slow loops, and grammars that are known."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from polysem.numerics import transitions as module
from polysem.numerics.transitions import FEWEST, Chance, neighbours, product, transitions


def text(seed: int = 0, pieces: int = 40, length: int = 25, features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Activity [token, feature] with some order in it, and the piece of each token."""
    draw = np.random.default_rng(seed)
    on = draw.random((pieces * length, features)) < draw.uniform(0.05, 0.5, features)
    on[1:, 1] |= on[:-1, 0] & (draw.random(len(on) - 1) < 0.7)
    return on, np.repeat(np.arange(pieces), length)


def followed(on: np.ndarray, piece: np.ndarray, seed: int = 0) -> module.Transitions:
    near = neighbours(piece, np.arange(len(piece)))
    active = sparse.csr_array(on.astype(np.float32))
    return transitions(active[near.first], active[near.second], near.stretch, seed)


def test_counts_and_expectations_are_those_of_a_slow_loop():
    on, piece = text()
    found = followed(on, piece)
    pairs = [(t, t + 1) for t in range(len(on) - 1) if piece[t] == piece[t + 1]]
    assert found.pairs == len(pairs) == 40 * 24
    for a, b in itertools.product(range(on.shape[1]), repeat=2):
        first, second = ([bool(on[pair[side], (a, b)[side]]) for pair in pairs] for side in (0, 1))
        assert found.count[a, b] == sum(x and y for x, y in zip(first, second, strict=True))
        assert found.together[a, b] == sum(bool(on[t, a] and on[t, b]) for t, _ in pairs)
        assert found.expected[a, b] == pytest.approx(sum(first) * sum(second) / len(pairs), rel=1e-5)
        assert found.strength[a, b] == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-5)
        assert found.lift[a, b] == pytest.approx(found.count[a, b] * len(pairs) / (sum(first) * sum(second)), rel=1e-5)
        of_piece = 0.0
        for number in range(40):
            mine = [place for place, (t, _) in enumerate(pairs) if piece[t] == number]
            of_piece += sum(first[place] for place in mine) * sum(second[place] for place in mine) / len(mine)
        assert found.expected_in_stretch[a, b] == pytest.approx(of_piece, rel=1e-5)


def test_chance_within_stretches_is_what_many_orders_of_them_give():
    on, piece = text(1, pieces=3, length=8, features=3)
    near = neighbours(piece, np.arange(len(piece)))
    active = sparse.csr_array(on.astype(np.float32))
    first, second = active[near.first], active[near.second]
    chance, draw = Chance(first, second, near.stretch), np.random.default_rng(0)
    counts = []
    for _ in range(4000):
        order = np.concatenate([draw.permutation(np.flatnonzero(near.stretch == number)) for number in range(3)])
        counts.append(product(first, second[order]))
    np.testing.assert_allclose(np.mean(counts, axis=0), chance.mean, atol=0.08)
    np.testing.assert_allclose(np.std(counts, axis=0), chance.deviation, atol=0.08)
    for order in chance.orders(draw):
        assert sorted(order.tolist()) == list(range(len(order)))
        assert (near.stretch[order] == near.stretch).all()


def test_lists_and_matrices_give_the_same_products(monkeypatch):
    on, _ = text(2)
    active = sparse.csr_array(on.astype(np.float32))
    wanted = on.astype(int).T @ on.astype(int)
    for work in (0, 10**9):
        monkeypatch.setattr(module, "DENSE_WORK", work)
        np.testing.assert_array_equal(product(active, active), wanted)


def test_neighbours_stand_in_one_document_and_one_sequence():
    sequence = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    position = np.array([1, 2, 4, 5, 0, 1, 2, 3, 4])
    near = neighbours(sequence, position)
    assert list(zip(near.first.tolist(), near.second.tolist(), near.stretch.tolist(), strict=True)) == [
        (0, 1, 0), (2, 3, 1), (4, 5, 2), (5, 6, 2), (6, 7, 2), (7, 8, 2),
    ]  # fmt: skip
    begins = np.array([0, 0, 0, 0, 0, 0, 1, 0, 0], bool)
    near = neighbours(sequence, position, begins)
    assert near.first.tolist() == [0, 2, 4, 6, 7] and near.stretch.tolist() == [0, 1, 2, 3, 3]
    assert neighbours(sequence[:1], position[:1]).first.tolist() == []


def test_what_is_active_at_borders_alone_is_in_no_edge():
    """Feature 0 ends every document and feature 1 begins the next."""
    on = np.zeros((600, 2), bool)
    on[9::10, 0] = on[10::10, 1] = True
    assert not followed(on, np.repeat(np.arange(60), 10)).edges.any()
    assert followed(on, np.zeros(600, int)).edges.tolist() == [[False, True], [False, False]]


def grammar(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """0 and 1 take turns, 2 repeats itself, 3, 4 and 5 come one after the other; 6 to 9 are noise, 10 never comes."""
    draw = np.random.default_rng(seed)
    tokens, piece = [], []
    for number in range(40):
        for _ in range(5):
            runs = ([0, 1] * int(draw.integers(2, 5)), [2] * int(draw.integers(3, 8)), [3, 4, 5])
            noise = draw.integers(6, 10, int(draw.integers(6, 14))).tolist()
            part = [*noise, *runs[int(draw.integers(3))]]
            tokens += part
            piece += [number] * len(part)
    return np.eye(11, dtype=bool)[tokens], np.array(piece)


def test_a_grammar_is_found_and_nothing_else():
    found = followed(*grammar())
    assert np.argwhere(found.edges).tolist() == [[0, 1], [1, 0], [2, 2], [3, 4], [4, 5]]
    assert np.argwhere(found.moves).tolist() == [[0, 1], [1, 0], [3, 4], [4, 5]]
    assert np.isnan(found.strength[10]).all() and np.isnan(found.lift[:, 10]).all()
    assert 1 < found.chance_lift < 3


def test_of_shuffled_tokens_nothing_is_found():
    on, piece = grammar()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(on))
        found = followed(on[order], piece)
        assert not found.edges.any() and not found.moves.any()


def test_features_of_one_context_follow_each_other_and_make_no_move():
    """Both are active in a quarter of the documents, on most tokens, whatever their order."""
    piece = np.repeat(np.arange(40), 100)
    for seed in range(10):
        on = np.zeros((4000, 2), bool)
        on[piece < 10] = np.random.default_rng(seed).random((1000, 2)) < 0.8
        found = followed(on, piece)
        assert found.edges.all() and not found.moves.any()
        assert found.lift.min() > 3 and found.lift_in_stretch.max() < 1.05


def test_features_that_are_active_side_by_side_make_no_move():
    """Runs of three tokens with both: each follows the other, and no more than it stands beside it."""
    on = np.zeros((4000, 2), bool)
    for start in range(0, 4000, 40):
        on[start : start + 3] = True
    found = followed(on, np.repeat(np.arange(20), 200))
    assert found.edges.all() and found.lift_in_stretch.min() > 5 and not found.moves.any()


def test_a_pair_that_meets_too_seldom_is_no_edge():
    for times, is_edge in ((FEWEST, True), (FEWEST - 1, False)):
        on = np.zeros((2000, 2), bool)
        for number in range(times):
            on[100 * number, 0] = on[100 * number + 1, 1] = True
        assert followed(on, np.zeros(2000, int)).edges[0, 1] == is_edge


def test_without_neighbours_nothing_follows_anything():
    found = followed(np.ones((5, 2), bool), np.arange(5))
    assert found.pairs == 0 and not found.edges.any() and np.isnan(found.lift).all() and np.isnan(found.strength).all()
