"""Activations as columns of probes, of features and of neurons."""

from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from polysem.activations.rows import ActivationRows
from polysem.tables.parts.tag_counts import CHOOSING, Counts, all_pairs
from polysem.tables.parts.tagged_sample import Sample
from polysem.tables.passes.probing.tokens import ProbedTokens
from polysem.tables.passes.survey.recording import SecondLook

BLOCK = 8192
"""Rows of neurons that are read at once."""


class Columns(Protocol):
    """What probes read of a dictionary."""

    def differences(self) -> Float[np.ndarray, "feature tag"]:
        """Mean activation of tokens with each tag less that of tokens without it, on half A; NaN where one of the two
        is not there."""

    def look(self, features: Int[np.ndarray, " some"]) -> None:
        """Get ready to show these features."""

    def of(self, features: Int[np.ndarray, " rank"]) -> "Active":
        """Activations of some of them."""


class Active(NamedTuple):
    """Activations of some features where they are not all 0."""

    place: Int[np.ndarray, " row"]
    """Places of sampled tokens, ascending; on all others these features are 0."""
    x: Float[np.ndarray, "row rank"]
    """Float64."""


class FeatureColumns:
    """Activations of an SAE's features, from what the survey counted and a second look at it."""

    def __init__(self, counts: Counts, sample: Sample, again: SecondLook) -> None:
        self._counts, self._sample, self._again = counts, sample, again

    def differences(self) -> Float[np.ndarray, "feature tag"]:
        """See `Columns`; means are over all tokens of half A."""
        scores = all_pairs(self._counts, CHOOSING)
        return scores.mean_with - scores.mean_without

    def look(self, features: Int[np.ndarray, " some"]) -> None:
        """See `Columns`."""
        self._found = self._sample.activations(features, self._again)

    def of(self, features: Int[np.ndarray, " rank"]) -> Active:
        """See `Columns`."""
        slot = np.zeros(self._sample.tokens, np.int64)
        found = [self._found[feature] for feature in features.tolist()]
        for row, _ in found:
            slot[row] = 1
        place = np.flatnonzero(slot)
        slot[place] = np.arange(len(place))
        x = np.zeros((len(place), len(found)))
        for rank, (row, value) in enumerate(found):
            x[slot[row], rank] = value
        return Active(place, x)


class NeuronColumns:
    """Activations of neurons as they are, below 0, too."""

    def __init__(self, rows: ActivationRows, tokens: ProbedTokens) -> None:
        self._tokens = tokens
        self.rows = np.empty((len(tokens.number), rows.width), np.float32)
        """Of all sampled tokens, [token, neuron]."""
        for start in range(0, len(tokens.number), BLOCK):
            wanted = tokens.number[start : start + BLOCK]
            first = int(wanted[0])
            self.rows[start : start + len(wanted)] = rows.slice(first, int(wanted[-1]) + 1)[wanted - first]

    def differences(self) -> Float[np.ndarray, "feature tag"]:
        """See `Columns`."""
        choosing = np.flatnonzero(~self._tokens.held_out)
        carried = self._tokens.carried[choosing]
        inside, total = np.zeros((self.rows.shape[1], carried.shape[1])), np.zeros((self.rows.shape[1], 1))
        for start in range(0, len(choosing), BLOCK):
            x = self.rows[choosing[start : start + BLOCK]]
            inside += x.T @ carried[start : start + BLOCK].astype(np.float32)
            total += x.sum(0, dtype=np.float64)[:, None]
        with_tag = carried.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Float[np.ndarray, "feature tag"]
            found = inside / with_tag - (total - inside) / (len(choosing) - with_tag)
        return found

    def look(self, features: Int[np.ndarray, " some"]) -> None:
        """See `Columns`; they are there."""

    def of(self, features: Int[np.ndarray, " rank"]) -> Active:
        """See `Columns`."""
        return Active(np.arange(len(self.rows)), self.rows[:, features].astype(np.float64))
