"""How often and how strongly each feature is active on tokens of each tag, and scores that follow from it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polysem.saes.entries import SparseEntries
from polysem.tables.parts.tagged_sample import Entries

CHOOSING, HELD_OUT = 0, 1
"""Half A, on which features and tags are chosen, and half B, on which they are scored."""
DENSE_ABOVE = 0.05
"""Share of active entries above which a product of matrices is faster than one of lists."""

Numbers = NDArray[np.float64]


class Counts:
    """Sums over the tokens of both halves; the first dimension of every array is the half.

    `tokens` [half]; `tagged` [half, tag], tokens that carry the tag; `active` [half, feature], tokens on which it is
    active; `both` [half, feature, tag], tokens that are both; `mass`, `square` [half, feature], sums of activations
    and of their squares; `mass_in` [half, feature, tag], sums of activations on the tokens of a tag.
    """

    def __init__(self, features: int, tags: int) -> None:
        self.tokens = np.zeros(2)
        self.tagged = np.zeros((2, tags))
        self.active, self.mass, self.square = (np.zeros((2, features)) for _ in range(3))
        self.both, self.mass_in = (np.zeros((2, features, tags)) for _ in range(2))

    def add(self, entries: Entries, held_out: NDArray[np.bool_]) -> None:
        """Count some tokens, of which `held_out` says which half each belongs to."""
        tags = self.tagged.shape[1]
        carried = np.unpackbits(entries.tags, axis=1, bitorder="little", count=tags)
        for half, tokens in ((CHOOSING, ~held_out), (HELD_OUT, held_out)):
            here = carried[tokens].astype(np.float32)
            self.tokens[half] += len(here)
            self.tagged[half] += here.sum(0, dtype=np.float64)
            if not len(here):
                continue
            part = entries.of(tokens)
            self._add_entries(half, part, torch.from_numpy(here))

    def _add_entries(self, half: int, part: Entries, carried: Tensor) -> None:
        features = self.active.shape[1]
        value = torch.from_numpy(part.value)
        feature = torch.from_numpy(part.feature).long()
        self.active[half] += np.bincount(part.feature, minlength=features)
        self.mass[half] += np.bincount(part.feature, part.value.astype(np.float64), features)
        self.square[half] += np.bincount(part.feature, part.value.astype(np.float64) ** 2, features)
        if len(value) > DENSE_ABOVE * len(carried) * features:
            f = torch.zeros(features, len(carried))
            f[feature, torch.from_numpy(part.row).long()] = value
            mass_in, both = f @ carried, (f > 0).float() @ carried
        else:
            listed = SparseEntries(torch.from_numpy(part.row).long(), feature, value, (len(carried), features))
            mass_in, both = listed.outer(value, carried), listed.outer(torch.ones_like(value), carried)
        self.both[half] += both.numpy()
        self.mass_in[half] += mass_in.numpy()


@dataclass(frozen=True)
class Scores:
    """Scores of (feature, tag) on one half; arrays broadcast over pairs. NaN where a denominator is 0."""

    tokens: float
    tagged: Numbers
    active: Numbers
    both: Numbers
    mass: Numbers
    square: Numbers
    mass_in: Numbers

    @property
    def precision(self) -> Numbers:
        """Share of the tokens on which the feature is active that carry the tag."""
        return ratio(self.both, self.active)

    @property
    def recall(self) -> Numbers:
        """Share of the tokens of the tag on which the feature is active."""
        return ratio(self.both, self.tagged)

    @property
    def f1(self) -> Numbers:
        """Harmonic mean of precision and recall."""
        return ratio(2 * self.both, self.active + self.tagged)

    @property
    def mean_with(self) -> Numbers:
        """Expected activation of a token with the tag."""
        return ratio(self.mass_in, self.tagged)

    @property
    def mean_without(self) -> Numbers:
        """Expected activation of a token without the tag."""
        return ratio(self.mass - self.mass_in, self.tokens - self.tagged)

    @property
    def mass_share(self) -> Numbers:
        """Share of the activation mass on tokens of the tag."""
        return ratio(self.mass_in, self.mass)

    @property
    def correlation(self) -> Numbers:
        """Pearson correlation over tokens of the activation and of carrying the tag (1) or not (0)."""
        covariance = self.mass_in * self.tokens - self.mass * self.tagged
        spread = (self.square * self.tokens - self.mass**2) * self.tagged * (self.tokens - self.tagged)
        return ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def all_pairs(counts: Counts, half: int) -> Scores:
    """Scores of every feature with every tag, [feature, tag]."""
    return Scores(
        float(counts.tokens[half]),
        counts.tagged[half],
        counts.active[half, :, None],
        counts.both[half],
        counts.mass[half, :, None],
        counts.square[half, :, None],
        counts.mass_in[half],
    )


def some_pairs(counts: Counts, half: int, feature: NDArray[np.int64], tag: NDArray[np.int64]) -> Scores:
    """Scores of some features with a tag each, [pair]; those of feature or tag −1 (none) are NaN."""
    none = np.where((feature >= 0) & (tag >= 0), 0.0, np.nan)

    def of(values: Numbers, *index: NDArray[np.int64]) -> Numbers:
        found: Numbers = values[half][index] if values.shape[-1] and values.shape[1] else np.zeros(len(none))
        return found + none

    return Scores(
        float(counts.tokens[half]),
        of(counts.tagged, tag),
        of(counts.active, feature),
        of(counts.both, feature, tag),
        of(counts.mass, feature),
        of(counts.square, feature),
        of(counts.mass_in, feature, tag),
    )


def ratio(part: Numbers, whole: Numbers) -> Numbers:
    """part / whole, NaN where whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient = np.true_divide(part, whole)
    return np.where(np.asarray(whole) > 0, quotient, np.nan)
