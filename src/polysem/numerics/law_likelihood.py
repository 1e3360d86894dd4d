"""The likelihood of a law of frequency by rank, where ranks are those of noisy counts.

Features are ordered by their firings in half A of the tokens and counted in half B. Neither tells the frequency, and
among rare features the order of half A is mostly chance; a law fitted to a sorted curve takes that chance for a fall.
So a law is taken for what it says of the features as a whole: that as many of them have a frequency above p as there
are ranks r with p(r) > p. From that follows how many of the features that half A places in a range of ranks have which
count in half B, and these numbers are compared. Counts are gathered in bins 8 % wide, frequencies in cells 3 % wide.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from polysem.numerics.firing_noise import probability_at_most

CELL = 0.03
"""Width of a cell of frequencies, in their logarithm."""
RAREST = 0.02
"""Mean number of firings in half B below which features are never seen."""
SINGLE = 16
"""Counts below this have a bin each."""
BIN = 1.08
"""Ratio of the edges of a bin of larger counts."""
CURVE_RANKS = 1500
"""Ranks at which a law is computed to find the rank of a frequency."""
INNER = 0.1
"""Share of a range, at its upper end, that tells little of the law: a few features with many firings each."""
FLATTEST = 1e-3
"""Least slope d ln p / d ln r: a law that rises with rank has no rank of a frequency."""
STEPS, TOLERANCE = 25, 1e-5
"""Steps of Newton's method at most, and the gain in nats that ends them."""
ROUNDS, SAME = 8, 0.002
"""Rounds, at most, in which law and number of ranks follow each other, and the share by which that number may move."""
LEAST = 1e-12
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """Features that fire in half A, by descending count there: their counts in both halves."""

    a: Values
    b: Values
    tokens: tuple[int, int]
    features: int
    """Features of the dictionary, those that never fire in half A included."""
    dispersion: float
    """See `polysem.numerics.firing_noise.dispersion`."""


@dataclass(frozen=True)
class Solution:
    """A law, in the three numbers of `Likelihood`, the number of ranks that goes with it, and its log-likelihood."""

    law: Values
    hidden: float
    log_likelihood: float


def count_edges(largest: float) -> NDArray[np.int64]:
    """Where bins of counts begin, from 0 to above the largest count."""
    edges = list(range(SINGLE))
    while edges[-1] <= largest:
        edges.append(max(edges[-1] + 1, int(edges[-1] * BIN)))
    return np.array(edges)


class Likelihood:
    """What a law says of the counts in half B of the features at the ranks first … last of half A.

    A law is three numbers, `law`: ln of the mean count in half B at the rank `reference`, the exponent α, and
    `reference` / L, of μ(r) ∝ r^−α·exp(−r/L). Outside of the range it goes on with the slope that it has at the end
    (features are misplaced across that end, so it matters how many there are, and not far away).
    """

    def __init__(self, ranked: Ranked, first: int, last: int) -> None:
        self.first, self.last, self.ranked = first, last, ranked
        self._whole = last == len(ranked.a)
        inner = first + INNER * (last - first)
        self.inner = (inner, float(last))
        self.reference = float(np.sqrt(inner * last))
        edges = count_edges(ranked.b.max())
        self._cells = np.arange(np.log(RAREST), np.log(2 * max(ranked.a.max(), ranked.b.max()) + 100), CELL)
        self._borders = np.append(self._cells - CELL / 2, self._cells[-1] + CELL / 2)
        self._seen = 1 - self._below(1, 0)
        places = self._placed(first, last)
        counted = np.diff(probability_at_most(edges[:, None] - 1, np.exp(self._cells), ranked.dispersion), axis=0)
        self._inside = counted * places
        found = np.searchsorted(edges, ranked.b[first - 1 : last], side="right") - 1
        within = np.bincount(found, minlength=len(edges) - 1)
        self.counts = np.append(within, len(ranked.a) - within.sum()).astype(np.float64)
        """Features by bin of their count in half B; the last number is that of the features outside of the range."""
        most = 4 * max(ranked.features, last)
        self._ranks = np.unique(np.concatenate([np.arange(0.5, 50.5), np.geomspace(50, most, CURVE_RANKS)]))
        self.hidden = float(len(ranked.a))
        """Number of ranks, those of features that half A does not show included."""

    def _below(self, count: float, share_of_equal: float) -> Values:
        """P(count in half A < `count`), and a share of P(count = `count`), by cell of the mean count in half B."""
        ratio = self.ranked.tokens[0] / self.ranked.tokens[1]
        means = ratio * np.exp(self._cells)
        less = probability_at_most(count - 1, means, self.ranked.dispersion)
        return less + share_of_equal * (probability_at_most(count, means, self.ranked.dispersion) - less)

    def _placed(self, first: int, last: int) -> Values:
        """Probability that half A places a feature at the ranks first … last, by cell. Equal counts draw places."""
        a = self.ranked.a
        upper = np.ones_like(self._cells)
        if first > 1:
            equal = np.flatnonzero(a == a[first - 1])
            upper = self._below(a[first - 1], (equal[-1] - first + 2) / len(equal))
        if self._whole:
            return upper - (1 - self._seen)
        equal = np.flatnonzero(a == a[last - 1])
        return np.maximum(0, upper - self._below(a[last - 1], (equal[-1] - last + 1) / len(equal)))

    def log_mean(self, law: Values, rank: Values) -> Values:
        """ln of the mean count in half B at some ranks."""
        level, power, exponential = law
        inside = np.clip(rank, max(self.first, 0.5), self.last)
        slope = np.maximum(power + exponential * inside / self.reference, FLATTEST)
        within = level - power * np.log(inside / self.reference) - exponential * (inside / self.reference - 1)
        logarithm: Values = within - slope * np.log(rank / inside)
        return logarithm

    def _ranks_in_cells(self, law: Values) -> tuple[Values, Values]:
        """How many ranks have a frequency in each cell, and the derivatives by the three numbers of the law."""
        power, exponential = law[1:]
        falling = np.minimum.accumulate(self.log_mean(law, self._ranks) - 1e-9 * np.arange(len(self._ranks)))
        rank = np.interp(-self._borders, -falling, self._ranks)
        rank[-1] = 0.5  # whatever is still more frequent counts as the highest cell
        last = self.hidden + 0.5
        free = (rank > 0.5) & (rank < last)
        rank = np.clip(rank, 0.5, last)
        inside = np.clip(rank, max(self.first, 0.5), self.last)
        beyond, scaled = np.log(rank / inside), inside / self.reference
        slope = np.maximum(power + exponential * scaled, FLATTEST)
        by_law = np.stack([np.ones_like(rank), -np.log(scaled) - beyond, 1 - scaled - scaled * beyond])
        derivative = by_law * np.where(free, rank / slope, 0)
        return -np.diff(rank), -np.diff(derivative, axis=1)

    def probabilities(self, law: Values) -> tuple[Values, Values]:
        """Probability of each bin of `counts` for a feature that half A shows, and its derivatives [bin, number]."""
        ranks, derivative = self._ranks_in_cells(law)
        expected = self._inside @ np.column_stack([ranks, derivative.T])
        features, by_law = float(len(self.ranked.a)), np.zeros(3)
        if self._whole:
            features, by_law = float(self._seen @ ranks) + LEAST, derivative @ self._seen
        inside = expected[:, 0] / features
        change = expected[:, 1:] / features - np.outer(inside, by_law / features)
        probability = np.append(inside, 1 - inside.sum())
        return np.maximum(probability, LEAST), np.vstack([change, -change.sum(0)])

    def fitted(
        self, counts: Values, law: Values, free: Float[np.ndarray, "number parameter"], tolerance: float = TOLERANCE
    ) -> tuple[Values, float]:
        """The law with the largest likelihood among law + free @ (any numbers), and that log-likelihood.

        Newton's method with the expected curvature and halved steps.
        """
        probability, change = self.probabilities(law)
        likelihood = float(counts @ np.log(probability))
        for _ in range(STEPS):
            slopes = change @ free
            gradient = slopes.T @ (counts / probability)
            curvature = counts.sum() * (slopes.T / probability) @ slopes
            step = free @ np.linalg.lstsq(curvature, gradient, rcond=1e-12)[0]
            step *= min(1.0, 1 / max(LEAST, float(np.abs(step).max())))
            while True:
                found, changed = self.probabilities(law + step)
                better = float(counts @ np.log(found))
                if better >= likelihood or np.abs(step).max() < 1e-5:
                    break
                step = step / 2
            if better < likelihood:
                break
            gain = better - likelihood
            law, probability, change, likelihood = law + step, found, changed, better
            if gain < tolerance:
                break
        return law, likelihood

    def never_rising(self, solution: Solution) -> Solution:
        """A pure law, or the likeliest frequency for all ranks alike, to the width of a cell, where it would rise with
        rank."""
        if solution.law[1:].min() >= 0:
            return solution
        self.hidden = solution.hidden
        alike = [np.array([level, 0.0, 0.0]) for level in self._cells]
        said = [float(self.counts @ np.log(self.probabilities(law)[0])) for law in alike]
        best = int(np.argmax(said))
        return Solution(alike[best], solution.hidden, said[best])

    def resampled(self, counts: Float[np.ndarray, "resample bin"], law: Values) -> Float[np.ndarray, "resample number"]:
        """The laws that are likeliest for resamples of the features, by one Newton step from the likeliest for all."""
        probability, change = self.probabilities(law)
        curvature = self.counts.sum() * (change.T / probability) @ change
        gradient = (counts / probability) @ change
        moved: Values = law + np.linalg.lstsq(curvature, gradient.T, rcond=1e-12)[0].T
        return moved

    def fits(self, law: Values, free: Float[np.ndarray, "number parameter"]) -> list[Solution]:
        """`fitted` with as many ranks (`hidden`) as let half A show the features that it does, the likeliest first.

        More ranks of a law that falls late can do so as well as fewer of one that falls early. Law and number of ranks
        follow each other from both ends, as many as are shown and as many as the dictionary has features. Where the
        range ends before the last rank that half A shows, both ends are taken as they are.
        """
        found: list[Solution] = []
        for hidden in sorted({len(self.ranked.a), self.ranked.features}):
            self.hidden = float(hidden)
            fitted = law
            for _ in range(ROUNDS if self._whole else 1):
                fitted, likelihood = self.fitted(self.counts, fitted, free)
                before = self.hidden
                if self._whole:
                    self.hidden = self._number_of_ranks(fitted)
                if abs(self.hidden - before) <= max(1.0, SAME * before):
                    break
            if not any(abs(self.hidden - other.hidden) <= 2 * max(1.0, SAME * self.hidden) for other in found):
                found.append(Solution(fitted, self.hidden, likelihood))
        return sorted(found, key=lambda solution: -solution.log_likelihood)

    def _number_of_ranks(self, law: Values) -> float:
        rank = np.arange(1, self.ranked.features + 1, dtype=np.float64)
        seen = np.interp(self.log_mean(law, rank), self._cells, self._seen, left=0)
        shown = len(self.ranked.a)
        enough = int(np.searchsorted(np.cumsum(seen), shown - 0.5)) + 1
        return float(np.clip(enough, shown, max(shown, self.ranked.features)))

    def start(self) -> tuple[float, float]:
        """Level and slope of a first guess, from the mean counts of the first and the last tenth of the range."""
        counts = self.ranked.b[self.first - 1 : self.last]
        tenth = max(5, len(counts) // 10)
        high, low = max(counts[:tenth].mean(), 1.0), max(counts[-tenth:].mean(), 0.3)
        upper, lower = self.first + tenth / 2, self.last - tenth / 2
        slope = max(0.05, float(np.log(high / low) / np.log(lower / upper)))
        return float(np.log(high) - slope * np.log(self.reference / upper)), slope

    @cached_property
    def _ranking(self) -> Values:
        """Probability of each bin of counts in half A but 0, [bin, cell]."""
        means = self.ranked.tokens[0] / self.ranked.tokens[1] * np.exp(self._cells)
        edges = count_edges(2 * means[-1])
        below = probability_at_most(edges[:, None] - 1, means, self.ranked.dispersion)
        return np.diff(below, axis=0)[1:]

    def seen_through_noise(self, law: Values, rank: Values) -> Values:
        """Mean share of half B on which the feature is active that half A places at some ranks: the law's frequencies,
        as the order of half A mixes them; NaN outside of the range."""
        ranks, _ = self._ranks_in_cells(law)
        features = (self._ranking @ ranks)[::-1]
        firings = (self._ranking @ (ranks * np.exp(self._cells)))[::-1]
        known = features > LEAST
        place = 0.5 + np.cumsum(features) - features / 2
        mean = np.log(firings[known] / features[known] / self.ranked.tokens[1])
        found = np.exp(np.interp(np.log(rank), np.log(place[known]), mean))
        return np.where((rank >= self.first) & (rank <= self.last), found, np.nan)
