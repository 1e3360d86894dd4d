"""S1.F8: which features of a small dictionary a larger one splits, and how all of them lie."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from polysem.tables.passes.comparison.directions import Rows, nearest, neurons_permuted, unit_rows

NEIGHBOURS = 15
"""Nearest rows from which the map is made."""
MAP_POINTS = 6000
"""Features on the map, evenly spread over those of each dictionary: one thread draws so many in half a minute."""
SHOWCASE = 6
"""Features of the small dictionary whose relatives the tree shows."""
RELATIVES = 6
"""Features per dictionary that are shown with each of them."""


@dataclass(frozen=True)
class Split:
    """The features of one dictionary as descendants of a smaller one's."""

    parent: Int[NDArray, " child"]
    """For each feature of the larger dictionary, the nearest feature of the smaller one."""
    cosine: Float[NDArray, " child"]
    """Cosine of their decoder rows."""
    random: Float[NDArray, " child"]
    """The same with the weights of each row of the larger dictionary in an order of its own."""

    def children(self, features: int, threshold: float) -> Int[NDArray, " feature"]:
        """Number of children of each of the smaller dictionary's features, with a cosine of at least a threshold."""
        return np.bincount(self.parent[self.cosine >= threshold], minlength=features)


def split(small: Rows, large: Rows, seed: int) -> Split:
    """Each feature of the larger dictionary goes to the one feature of the smaller one that is nearest.

    Source: document S1, "Feature splitting": dictionaries of several sizes, features in clusters.
    """
    cosine, parent = nearest(large, small)
    random, _ = nearest(neurons_permuted(large, seed), small)
    return Split(parent, cosine, random)


@dataclass(frozen=True)
class Leaf:
    """A feature of one of several dictionaries, by their numbers."""

    dictionary: int
    feature: int


def showcase(splits: Sequence[Split], features: Sequence[int], threshold: float) -> list[Leaf]:
    """Features of the smallest dictionary with most descendants in the next one, and their nearest descendants.

    `splits` lead from each dictionary to the next larger one, `features` are their numbers of features. Descendants of
    one are followed through all sizes. The lower number wins a tie. Empty if no feature has two children.
    """
    children = splits[0].children(features[0], threshold)
    chosen = [feature for feature in np.argsort(-children, kind="stable")[:SHOWCASE] if children[feature] > 1]
    leaves: list[Leaf] = []
    for root in chosen:
        leaves.append(Leaf(0, int(root)))
        family = np.array([root])
        for number, level in enumerate(splits, start=1):
            heirs = np.flatnonzero(np.isin(level.parent, family) & (level.cosine >= threshold))
            heirs = heirs[np.argsort(-level.cosine[heirs], kind="stable")[:RELATIVES]]
            leaves += [Leaf(number, int(heir)) for heir in heirs]
            family = heirs
    return leaves


def tree(rows: Rows) -> Float[NDArray, "merge four"]:
    """Average linkage of rows by cosine distance, in scipy's form: the two clusters, their distance, the leaves."""
    unit = unit_rows(rows)
    distance = np.clip(1 - unit @ unit.T, 0, 2).astype(np.float64)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    return hierarchy.linkage(squareform(distance, checks=False), method="average")


def evenly(features: Sequence[int], points: int = MAP_POINTS) -> list[Int[NDArray, " feature"]]:
    """Which features of each dictionary go on the map: all, or an even spread with the same share of each."""
    share = min(1.0, points / sum(features))
    return [np.unique(np.linspace(0, count - 1, max(2, int(count * share))).round().astype(int)) for count in features]


def two_dimensions(rows: Rows, seed: int) -> Float[NDArray, "row 2"]:
    """A map of directions by UMAP (McInnes et al. 2018) on their exact nearest neighbours by cosine distance.

    Deterministic for a seed: one thread, and no approximate search. Raises ValueError for fewer than four rows.
    """
    if len(rows) < 4:
        raise ValueError(f"{len(rows)} rows are too few for a map")
    import warnings

    unit = unit_rows(rows)
    count = min(NEIGHBOURS, len(unit) - 1)
    index, distance = _neighbours(unit, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a search index for new points, of which there will be none
        from umap import UMAP

        reducer = UMAP(
            n_neighbors=count,
            metric="cosine",
            init="spectral" if len(unit) > 2 * NEIGHBOURS else "random",
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(index, distance, None),
        )
        return np.asarray(reducer.fit_transform(unit), np.float32)


def _neighbours(unit: Rows, count: int) -> tuple[Int[NDArray, "row place"], Float[NDArray, "row place"]]:
    """The nearest rows of each row, itself first, and their cosine distances."""
    index, distance = np.empty((len(unit), count), np.int64), np.empty((len(unit), count), np.float32)
    for start in range(0, len(unit), 1024):
        cosines = unit[start : start + 1024] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = 2.0
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        index[start : start + 1024] = order
        distance[start : start + 1024] = np.clip(1 - np.take_along_axis(cosines, order, axis=1), 0, 2)
    distance[:, 0] = 0
    return index, distance
