"""How often one of many features is active on the token behind another one's, against what chance gives.

Chance is asked for twice. If the tokens behind stood in any order, all that features have in common would be lost. If
they stood in any order within their stretch of text, what features share with their context would be kept, and their
order alone would be lost. Expected coincidences and their variances are known for both, those of a draw without
replacement. How far the furthest of all pairs of features gets by chance is seen in shuffled tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy import sparse

FEWEST = 10
"""Coincidences below which a pair of features is no edge: a few of them come by chance."""
LEAST_LIFT = 2.0
"""How many times as often as by chance the second feature is active behind the first, at least, along an edge."""
LEAST_DISTANCE = 4.0
"""Standard deviations from chance, at least: of a few pairs the furthest that chance brings may be near."""
SHUFFLES = 1
"""Orders of each kind that are drawn."""
DENSE_WORK = 30
"""A sparse product is chosen where it has so many times fewer multiplications: each takes so much longer."""
Counts = Float[NDArray, "feature feature"]


@dataclass(frozen=True)
class Neighbours:
    """Tokens and those behind them, in the same document and sequence."""

    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    stretch: Int[np.ndarray, " pair"]
    """Number of the stretch of consecutive tokens in which both stand, from 0 on, ascending."""


def neighbours(
    sequence: Int[np.ndarray, " token"],
    position: Int[np.ndarray, " token"],
    begins: Bool[np.ndarray, " token"] | None = None,
) -> Neighbours:
    """All pairs of tokens of which the second stands right behind the first, and does not begin a document.

    Tokens come in the order of their sequences and positions; one that is missing between two parts them.
    """
    behind = (np.diff(sequence) == 0) & (np.diff(position) == 1)
    if begins is not None:
        behind &= ~begins[1:]
    first = np.flatnonzero(behind)
    stretch = np.cumsum(~np.r_[True, behind[first[1:] - 1]]) if len(first) else first
    return Neighbours(first, first + 1, stretch)


@dataclass(frozen=True)
class Transitions:
    """What follows what: [a, b] is of feature b on the token behind one on which a is active."""

    pairs: int
    """Pairs of tokens."""
    count: Counts
    """Coincidences: a is active on the first token, b on the second."""
    together: Counts
    """Both are active on the first token."""
    expected: Counts
    """Coincidences by chance in any order."""
    expected_in_stretch: Counts
    """Coincidences by chance in any order within each stretch."""
    strength: Counts
    """Pearson correlation of a's being active on the first token and b's on the second; NaN if either never varies."""
    edges: Bool[NDArray, "feature feature"]
    """b follows a more than chance explains."""
    moves: Bool[NDArray, "feature feature"]
    """Edges of two features whose order matters: b follows a more than in other orders of the same stretches, and more
    than it stands beside it."""
    chance_lift: float
    """Largest lift of a pair with `FEWEST` coincidences in shuffled tokens; NaN if there is none."""

    @property
    def lift(self) -> Counts:
        """Coincidences over those by chance; NaN where one of the two is never active."""
        return _over(self.count, self.expected)

    @property
    def lift_in_stretch(self) -> Counts:
        """The same against any order within each stretch."""
        return _over(self.count, self.expected_in_stretch)


def transitions(
    first: sparse.csr_array, second: sparse.csr_array, stretch: Int[np.ndarray, " pair"], seed: int
) -> Transitions:
    """What follows what, of features [pair, feature] that are active (1) or not on the first and second tokens.

    A pair of features is an edge if it coincides at least `FEWEST` times and `LEAST_LIFT` times as often as by chance,
    and is further from chance than every pair of which this is true in `SHUFFLES` shuffles of all tokens, and than
    `LEAST_DISTANCE` standard deviations. However many pairs of features there are, no more than one in `SHUFFLES` is
    then expected to be an edge by chance. An edge of two features is a move if it is as far from chance within
    stretches, against shuffles there, and if the second is active more often behind the first than beside it.
    """
    first, second = (sparse.csr_array(one, dtype=np.float32) for one in (first, second))
    pairs = first.shape[0]
    count, together = product(first, second), product(first, first)
    every, within = Chance(first, second, np.zeros(pairs, np.int64)), Chance(first, second, stretch)
    draw = np.random.default_rng(seed)
    chance_lift = np.nan
    found = {}
    for chance in (every, within):
        limit = LEAST_DISTANCE
        for order in chance.orders(draw):
            shuffled = product(first, second[order])
            frequent = shuffled >= FEWEST
            limit = max(limit, float(chance.distance(shuffled)[_counts(shuffled, every.mean)].max(initial=0.0)))
            if chance is every and frequent.any():
                chance_lift = np.fmax(chance_lift, float((shuffled[frequent] / every.mean[frequent]).max()))
        found[chance] = _counts(count, every.mean) & (chance.distance(count) > limit)
    edges = found[every]
    moves = edges & found[within] & (count > together)
    np.fill_diagonal(moves, False)
    strength = every.distance(count) / np.float32(np.sqrt(max(pairs - 1, 1)))
    strength[every.deviation == 0] = np.nan
    return Transitions(pairs, count, together, every.mean, within.mean, strength, edges, moves, chance_lift)


class Chance:
    """Coincidences if the second tokens of each stretch stood in any order."""

    def __init__(self, first: sparse.csr_array, second: sparse.csr_array, stretch: Int[np.ndarray, " pair"]) -> None:
        """`stretch` ascends."""
        self._stretch = stretch
        size = np.maximum(np.bincount(stretch, minlength=1), 1).astype(np.float32)[:, None]
        shape = (len(size), len(stretch))
        member = sparse.csr_array((np.ones(len(stretch), np.float32), (stretch, np.arange(len(stretch)))), shape)
        left, right = ((member @ one).toarray() for one in (first, second))
        self.mean: Counts = (left / size).T @ right
        # With a and b active ones of n, coincidences are a hypergeometric draw: a b (n - a)(n - b) / n²(n - 1) is their
        # variance.
        long = size[:, 0] > 1
        left, right, size = left[long], right[long], size[long]
        variance = (left * (size - left) / (size**2 * (size - 1))).T @ (right * (size - right))
        self.deviation: Counts = np.sqrt(np.maximum(variance, 0))

    def distance(self, count: Counts) -> Counts:
        """By how many standard deviations coincidences exceed those expected; 0 where they cannot vary."""
        return _over(count - self.mean, self.deviation, 0.0)

    def orders(self, draw: np.random.Generator) -> Iterator[Int[NDArray, " pair"]]:
        """`SHUFFLES` orders of the second tokens."""
        for _ in range(SHUFFLES):
            yield np.lexsort((draw.random(len(self._stretch)), self._stretch))


def product(left: sparse.csr_array, right: sparse.csr_array) -> Counts:
    """leftᵀ · right, by lists of entries or by matrices, whichever is faster."""
    share = float(left.nnz) * float(right.nnz) / max(1, left.shape[0] ** 2 * left.shape[1] * right.shape[1])
    if share * DENSE_WORK < 1:
        return (left.T.tocsr() @ right).toarray()
    return left.toarray().T @ right.toarray()


def _counts(count: Counts, expected: Counts) -> Bool[NDArray, "feature feature"]:
    return (count >= FEWEST) & (count >= LEAST_LIFT * expected)


def _over(above: Counts, below: Counts, none: float = np.nan) -> Counts:
    return np.divide(above, below, out=np.full_like(above, none), where=below > 0)
