"""The tree of a feature's examples, folded to as many leaves as can be drawn."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Node:
    """A branch of the tree, or a leaf, which stands for one example or for several that were folded into it."""

    height: float
    """Distance at which its children merge; 0 for a leaf."""
    members: tuple[int, ...]
    """Examples, in order."""
    children: tuple["Node", ...] = ()

    def leaves(self) -> Iterator["Node"]:
        """From the first to the last."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass(frozen=True)
class Folded:
    """A tree with a limited number of leaves."""

    root: Node
    clusters_left_out: int
    examples_left_out: int


def folded_tree(
    linkage: NDArray[np.float64], cluster: NDArray[np.int64], cut: float, most: int, whole: frozenset[int] = frozenset()
) -> Folded:
    """The tree of a linkage (rows of scipy's form, heights ascending) with at most `most` leaves.

    The closest sub-clusters below the cut become leaves first; where there are more clusters than leaves even so, the
    smallest clusters are left out. Of the clusters that are to stay `whole` nothing is folded. Branches stand in the
    order of their largest clusters (`cluster` by example).
    """
    examples = cluster.size
    nodes = [Node(0.0, (example,)) for example in range(examples)]
    excess = examples - most
    for left, right, height, _ in linkage:
        one, other = nodes[int(left)], nodes[int(right)]
        members = tuple(sorted((*one.members, *other.members)))
        if excess > 0 and height <= cut and int(cluster[members[0]]) not in whole:
            nodes.append(Node(0.0, members))
            excess -= 1
            continue
        first, second = sorted((one, other), key=lambda node: (min(cluster[list(node.members)]), node.members))
        nodes.append(Node(float(height), members, (first, second)))
    root = nodes[-1]
    kept = _kept_clusters(root, cluster, most)
    pruned = _pruned(root, cluster, kept)
    assert pruned is not None
    gone = sum(int((cluster == number).sum()) for number in set(cluster.tolist()) - kept)
    return Folded(pruned, len(set(cluster.tolist()) - kept), gone)


def _kept_clusters(root: Node, cluster: NDArray[np.int64], most: int) -> set[int]:
    """The largest clusters whose leaves are not too many together."""
    kept: set[int] = set()
    room = most
    leaves = [int(cluster[leaf.members[0]]) for leaf in root.leaves()]
    for number in sorted(set(leaves)):
        room -= leaves.count(number)
        if room < 0:
            break
        kept.add(number)
    return kept


def _pruned(node: Node, cluster: NDArray[np.int64], kept: set[int]) -> Node | None:
    """The tree without the leaves of other clusters; a branch with one child left is that child."""
    if not node.children:
        return node if int(cluster[node.members[0]]) in kept else None
    children = [found for child in node.children if (found := _pruned(child, cluster, kept)) is not None]
    if len(children) < 2:
        return children[0] if children else None
    members = tuple(sorted(example for child in children for example in child.members))
    return Node(node.height, members, tuple(children))
