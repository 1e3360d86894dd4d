"""What activity of features is to be expected on tokens: that of the tokens a feature boosts, or a model expects."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from polysem.numerics.ranks import ranks

EXPECTED = 5.0
"""Coincidences that chance must give for the lift of a pair of features to be held against its prediction, by the rule
of thumb for counts."""
COMPARED = 200_000
"""Pairs of features over which this is done, evenly spread over all such."""


@dataclass(frozen=True)
class TokenActivity:
    """Mean activation of features on each token of the vocabulary."""

    mean: sparse.csc_array
    """[token, feature]; 0 on tokens that do not occur."""
    occurrences: Int[np.ndarray, " token"]
    overall: Float[np.ndarray, " feature"]
    """Over all tokens of the text."""

    @classmethod
    def of(cls, activations: sparse.csc_array, token: Int[np.ndarray, " position"], vocabulary: int) -> "TokenActivity":
        """From the activations [position, feature] on tokens of a text."""
        where = (token, np.arange(len(token)))
        occurrences = np.bincount(token, minlength=vocabulary)
        weight = (1 / np.maximum(occurrences, 1))[token]
        averaging = sparse.csr_array((weight, where), (vocabulary, len(token)))
        overall = np.asarray(activations.sum(axis=0), np.float64).reshape(-1) / max(1, len(token))
        return cls(sparse.csc_array(averaging @ activations.astype(np.float64)), occurrences, overall)

    def chosen(self, features: Int[NDArray, " some"]) -> "TokenActivity":
        """Of some features."""
        return TokenActivity(self.mean[:, features], self.occurrences, self.overall[features])

    def predicted(self, boosted: Int[NDArray, "feature rank"]) -> Float[NDArray, "feature other"]:
        """How many times as active as usual each other feature is on the tokens that a feature boosts: the mean of its
        activity on those of them that occur, over that on all tokens. NaN where none occurs."""
        occurs = self.occurrences[boosted] > 0
        known = occurs.sum(axis=1)
        row, rank = np.nonzero(occurs)
        weight = (1 / np.maximum(known, 1))[row]
        mixing = sparse.csr_array((weight, (row, boosted[row, rank])), (len(boosted), self.mean.shape[0]))
        found = (mixing @ self.mean).toarray() / np.where(self.overall > 0, self.overall, np.nan)
        found[known == 0] = np.nan
        return np.asarray(found)

    def expected(
        self, probabilities: Float[NDArray, "row outcome"], features: Int[NDArray, " some"]
    ) -> Float[NDArray, "row some"]:
        """Activity of some features on a token that is drawn with some probabilities; a token that does not occur in
        the text counts as one on which none is active."""
        known = min(self.mean.shape[0], probabilities.shape[1])
        return np.asarray(probabilities[:, :known].astype(np.float64) @ self.mean[:, features].toarray()[:known])

    def strongest(self, feature: int, count: int) -> Int[NDArray, " token"]:
        """The tokens that hold most of the activation of a feature, −1 behind the last that holds any."""
        mass = self.mean[:, [feature]].toarray()[:, 0] * self.occurrences
        order = np.argsort(-mass, kind="stable")[:count]
        found = np.where(mass[order] > 0, order, -1)
        return np.pad(found, (0, count - len(found)), constant_values=-1)


def compared_pairs(
    expected: Float[NDArray, "feature feature"], predicted: Float[NDArray, "feature feature"]
) -> Int[NDArray, " pair"]:
    """Places, in the flattened matrix, of the pairs of features whose lift is held against its prediction."""
    known = np.flatnonzero((expected >= EXPECTED) & np.isfinite(predicted))
    return known[np.linspace(0, len(known) - 1, min(COMPARED, len(known))).round().astype(np.int64)]


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's; NaN for fewer than three pairs, or if one side is constant."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])
