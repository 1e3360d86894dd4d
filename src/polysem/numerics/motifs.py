"""Loops and chains in a graph of what follows what: pieces of a finite-state automaton, the strongest first."""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

LONGEST = 5
"""Nodes of a chain, at most."""
SHORTEST = 3
"""Nodes of a chain, at least: two are an edge."""
CONSIDERED = 50_000
"""Edges of which chains are made, the strongest ones."""
Edges = Bool[NDArray, "node node"]
Strength = Float[NDArray, "node node"]


def loops_of_one(edges: Edges, strength: Strength) -> list[tuple[int]]:
    """Nodes with an edge to themselves; of equal ones those of lower numbers come first, here and below."""
    node = np.flatnonzero(np.diag(edges))
    order = np.argsort(-np.diag(strength)[node], kind="stable")
    return [(int(one),) for one in node[order]]


def loops_of_two(edges: Edges, strength: Strength) -> list[tuple[int, int]]:
    """Pairs of different nodes with edges in both directions, by the weaker of the two."""
    one, other = np.nonzero(np.triu(edges & edges.T, 1))
    order = np.argsort(-np.minimum(strength[one, other], strength[other, one]), kind="stable")
    return [(int(one[place]), int(other[place])) for place in order]


def chains(edges: Edges, strength: Strength) -> list[tuple[int, ...]]:
    """Paths of `SHORTEST` to `LONGEST` different nodes, of which no two share a node, by the sum of their strengths.

    Edges are taken from the strongest on, as long as each node has one behind and one in front of it at most, no path
    closes to a loop, and none gets too long.
    """
    one, other = np.nonzero(edges)
    kept = one != other
    one, other = one[kept], other[kept]
    order = np.argsort(-strength[one, other], kind="stable")[:CONSIDERED]
    path: dict[int, list[int]] = {}
    for start, stop in zip(one[order].tolist(), other[order].tolist(), strict=True):
        left, right = path.get(start, [start]), path.get(stop, [stop])
        if left is not right and left[-1] == start and right[0] == stop and len(left) + len(right) <= LONGEST:
            joined = left + right
            path |= dict.fromkeys(joined, joined)
    found = list({id(nodes): tuple(nodes) for nodes in path.values() if len(nodes) >= SHORTEST}.values())
    total = [float(sum(strength[nodes[:-1], nodes[1:]])) for nodes in map(np.array, found)]
    return [found[place] for place in sorted(range(len(found)), key=lambda place: (-total[place], found[place]))]


def edges_of(kind: str, nodes: tuple[int, ...]) -> list[tuple[int, int]]:
    """The edges of a motif: a loop ends where it began, a chain does not."""
    ends = nodes[1:] if kind == CHAIN else (*nodes[1:], nodes[0])
    return list(zip(nodes, ends, strict=False))


LOOP, PAIR, CHAIN = "loop of one", "loop of two", "chain"
KINDS = (LOOP, PAIR, CHAIN)
