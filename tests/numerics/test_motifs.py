"""Loops and chains of graphs that are drawn by hand."""

import numpy as np

from polysem.numerics.motifs import CHAIN, LOOP, PAIR, chains, edges_of, loops_of_one, loops_of_two


def graph(nodes: int, edges: dict[tuple[int, int], float]) -> tuple[np.ndarray, np.ndarray]:
    strength = np.full((nodes, nodes), 0.01)
    for edge, value in edges.items():
        strength[edge] = value
    present = np.zeros((nodes, nodes), bool)
    present[tuple(np.array(list(edges)).T)] = True
    return present, strength


def test_loops_come_by_their_strength():
    found = graph(6, {(1, 1): 0.2, (4, 4): 0.9, (2, 2): 0.2, (0, 1): 0.99})
    assert loops_of_one(*found) == [(4,), (1,), (2,)]
    found = graph(6, {(0, 1): 0.9, (1, 0): 0.1, (2, 3): 0.3, (3, 2): 0.2, (4, 5): 1.0, (2, 2): 1.0})
    assert loops_of_two(*found) == [(2, 3), (0, 1)], "the weaker edge decides, and one direction is no loop"


def test_a_chain_goes_along_the_strongest_edges_and_visits_no_feature_twice():
    found = graph(7, {(0, 1): 0.9, (1, 2): 0.8, (1, 3): 0.7, (2, 0): 0.6, (4, 5): 0.5, (5, 6): 0.95, (6, 6): 1.0})
    assert chains(*found) == [(0, 1, 2), (4, 5, 6)], "(2, 0) would close a loop, and 1 is followed by 2 already"
    assert chains(*graph(3, {(0, 1): 0.9, (1, 0): 0.8})) == []
    assert chains(*graph(3, {(0, 1): 0.9})) == [], "two features are an edge"


def test_a_chain_has_five_features_at_most():
    line = {(node, node + 1): 0.9 - 0.01 * node for node in range(7)}
    assert chains(*graph(8, line)) == [(0, 1, 2, 3, 4), (5, 6, 7)]
    middle_first = {(node, node + 1): value for node, value in enumerate((0.5, 0.6, 0.9, 0.8, 0.7))}
    assert chains(*graph(6, middle_first)) == [(1, 2, 3, 4, 5)]


def test_the_edges_of_a_loop_lead_back_and_those_of_a_chain_do_not():
    assert edges_of(LOOP, (7,)) == [(7, 7)]
    assert edges_of(PAIR, (1, 2)) == [(1, 2), (2, 1)]
    assert edges_of(CHAIN, (1, 2, 3)) == [(1, 2), (2, 3)]


def test_an_empty_graph_has_neither():
    empty = np.zeros((4, 4), bool), np.zeros((4, 4))
    assert loops_of_one(*empty) == loops_of_two(*empty) == chains(*empty) == []
