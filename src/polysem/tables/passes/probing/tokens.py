"""The tokens that probes are fitted and scored on, with those that carry rare tags among them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.numerics.hashing import GOLDEN, mixed
from polysem.tables.parts.tagged_sample import Sample
from polysem.tables.parts.token_tags import held_out

LEAST = 20
"""Tokens with a tag, and without it, that each half must have for a probe."""
FITTED = 8192
"""Tokens of half A that a probe is fitted on, about; thresholds and scores are of all."""
COMMON = 0.5
"""Share of these that are drawn from all tokens alike; the others carry rare tags."""
UNITS = 1024
"""Units of bootstrap intervals, at most: sequences, or groups of them where there are more."""


@dataclass(frozen=True)
class ProbedTokens:
    """Sampled tokens of both halves, and the draw of those that probes are fitted on."""

    number: Int[np.ndarray, " token"]
    """Of the store."""
    carried: Bool[np.ndarray, "token tag"]
    held_out: Bool[np.ndarray, " token"]
    """Whether a token belongs to half B, on which probes are scored."""
    unit: Int[np.ndarray, " token"]
    """The unit of the bootstrap that a token of half B belongs to; those of half A count for themselves."""
    weight: Float[np.ndarray, " token"]
    """How many tokens of half A each token stands for that probes are fitted on; 0 for the others."""

    @classmethod
    def of(cls, sample: Sample, tags: int, fitted: int = FITTED) -> "ProbedTokens":
        """The tokens of a sample; about `fitted` of half A are drawn."""
        number, sequence = sample.numbers(), sample.sequences()
        carried = np.stack([sample.carried(tag) for tag in range(tags)], axis=1)
        later = held_out(sequence)
        weight = np.zeros(len(number))
        weight[~later] = weights(number[~later], carried[~later], fitted)
        unit = np.zeros(len(number), np.int64)
        for half in (later, ~later):
            unit[half] = np.unique(sequence[half], return_inverse=True)[1] % UNITS
        return cls(number, carried, later, unit, weight)

    @cached_property
    def units(self) -> int:
        """How many units half B has."""
        return int(self.unit[self.held_out].max(initial=-1)) + 1

    def of_tag(self, tag: int, later: bool) -> tuple[int, int]:
        """How many tokens of half B, or of half A, carry a tag, and how many do not."""
        half = self.held_out if later else ~self.held_out
        with_tag = int((half & self.carried[:, tag]).sum())
        return with_tag, int(half.sum()) - with_tag

    def by_unit(
        self, place: Int[np.ndarray, " some"] | None = None, tag: int | None = None
    ) -> Int[np.ndarray, " unit"]:
        """How many of some tokens of half B are of each unit; of all, or of all that carry a tag, without `place`."""
        if place is None:
            place = np.flatnonzero(self.held_out if tag is None else self.held_out & self.carried[:, tag])
        return np.bincount(self.unit[place], minlength=self.units)

    def probed(self) -> Bool[np.ndarray, " tag"]:
        """The tags that both halves have at least `LEAST` tokens with, and without."""
        enough = np.ones(self.carried.shape[1], np.bool_)
        for half in (self.held_out, ~self.held_out):
            with_tag = self.carried[half].sum(0)
            enough &= (with_tag >= LEAST) & (half.sum() - with_tag >= LEAST)
        return enough


def weights(
    number: Int[np.ndarray, " token"], carried: Bool[np.ndarray, "token tag"], wanted: int
) -> Float[np.ndarray, " token"]:
    """What each of about `wanted` tokens weighs, one over its chance of being drawn; 0 for those that are not.

    Half of them are drawn from all tokens alike. A token's chance is that, or, where that is more, the chance that
    gives its rarest tag the same number of tokens as all other rare tags (Horvitz & Thompson 1952 on such weights). The
    draw is a hash of the token's number.
    """
    chance = chances(carried, wanted)
    is_drawn = mixed(number.astype(np.uint64) * GOLDEN + GOLDEN) / 2.0**64 < chance
    return np.where(is_drawn, 1 / chance, 0.0)


def chances(carried: Bool[np.ndarray, "token tag"], wanted: int) -> Float[np.ndarray, " token"]:
    """The chance of each token of being drawn; their sum is `wanted`, or all are 1."""
    tokens = len(carried)
    if tokens <= wanted:
        return np.ones(tokens)
    among = np.where(carried, carried.sum(0).astype(np.float64), np.inf).min(1, initial=np.inf)

    def of(quota: float) -> NDArray[np.float64]:
        chance: NDArray[np.float64] = np.clip(quota / among, COMMON * wanted / tokens, 1)
        return chance

    low, high = 0.0, float(tokens)
    for _ in range(60):
        quota = (low + high) / 2
        low, high = (low, quota) if of(quota).sum() > wanted else (quota, high)
    return of(low)
