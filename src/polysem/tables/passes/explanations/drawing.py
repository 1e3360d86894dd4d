"""Which tokens show what a feature is active on, and which put an explanation to the test."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.numerics.hashing import GOLDEN, mixed
from polysem.tables.parts.token_tags import held_out

ROLES = ("top", "active", "inactive", "marked", "random")
"""What an example is for: the strongest ones; some that are spread over the activations; tokens in whose windows the
feature is nowhere active; tokens on which it is not active, whatever is around them; and tokens at random, the same
for all features."""
OTHERS = 4
"""Active examples among which an intruder is looked for; by chance it is found once in five times."""
CHANCE = 1 / (OTHERS + 1)
FEWEST = 5
"""Active tokens of a half below which a feature is not explained, or not scored."""


@dataclass(frozen=True)
class Drawn:
    """Tokens of the sample that are examples of one feature, −1 where there are no more of a role."""

    token: Int[np.ndarray, " context"]
    hard: Bool[np.ndarray, " context"]
    """Whether the token is one on which the feature is active elsewhere, while it is not here."""


def layout(examples: int) -> list[str]:
    """The role of each context, for so many active examples: half as many of the strongest and of random ones."""
    half = max(1, examples // 2)
    counts = {"top": half, "active": examples, "inactive": examples, "marked": examples, "random": half}
    return [role for role in ROLES for _ in range(counts[role])]


@dataclass(frozen=True)
class Half:
    """The tokens of one half of a sample whose activations are known, in the order of their text."""

    token: Int[np.ndarray, " token"]
    """Number in the sample."""
    sequence: Int[np.ndarray, " token"]
    position: Int[np.ndarray, " token"]
    ids: Int[np.ndarray, " token"]
    before: int
    after: int
    seed: int

    @classmethod
    def of(
        cls,
        sequence: Int[np.ndarray, " token"],
        position: Int[np.ndarray, " token"],
        ids: Int[np.ndarray, " token"],
        before: int,
        after: int,
        seed: int,
        is_held_out: bool,
    ) -> "Half":
        """Half B of a sample, or half A."""
        token = np.flatnonzero(held_out(sequence) == is_held_out)
        return cls(token, sequence[token], position[token], ids[token], before, after, seed)

    @cached_property
    def place(self) -> NDArray[np.uint64]:
        """A random number of each token, which decides what is drawn first."""
        key = (self.sequence.astype(np.uint64) << np.uint64(24)) + self.position.astype(np.uint64)
        return mixed(key * GOLDEN + np.uint64((self.seed + 1) * int(GOLDEN) % 2**64))

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """All tokens in that order."""
        return np.argsort(self.place, kind="stable")

    @cached_property
    def window(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first token of each token's window, and the one behind the last."""
        key = (self.sequence << 24) + self.position
        start = np.searchsorted(key, np.maximum(key - self.before, self.sequence << 24))
        return start, np.searchsorted(key, key + self.after, side="right")

    @cached_property
    def vocabulary(self) -> int:
        """More than any id."""
        return int(self.ids.max(initial=0)) + 1

    def draw(self, activation: Float[np.ndarray, " token"], examples: int) -> Drawn:
        """The examples of a feature in this half, by role as `layout` says; the activations are of its tokens.

        Strong and active ones are of as many sequences as possible. Inactive ones are in equal parts hard, the same
        tokens as active ones, and any; where there are too few of one kind, there are more of the other. Marked ones
        are hard as far as there are such.
        """
        is_active = activation > 0
        active = np.flatnonzero(is_active)
        half = max(1, examples // 2)
        known = np.zeros(self.vocabulary, bool)
        known[self.ids[active]] = True
        same = known[self.ids] & ~is_active
        start, stop = self.window
        total = np.concatenate([[0], np.cumsum(is_active)])
        quiet = total[stop] == total[start]
        hard, easy = (self.order[(quiet & of)[self.order]] for of in (same, ~same))
        share = min(max(half, examples - len(easy)), len(hard))
        inactive = np.concatenate([hard[:share], easy[: examples - share]])
        marked = self.order[same[self.order]][:examples]
        if len(marked) < examples:
            more = self.order[(~is_active & ~same)[self.order]]
            marked = np.concatenate([marked, more[: examples - len(marked)]])
        chosen = {
            "top": self._strongest(active, activation, half),
            "active": self._spread(active, activation, examples),
            "inactive": inactive,
            "marked": marked,
            "random": self.order[:half],
        }
        roles = np.array(layout(examples))
        token, is_hard = np.full(len(roles), -1, np.int64), np.zeros(len(roles), bool)
        for role, tokens in chosen.items():
            first = int(np.flatnonzero(roles == role)[0])
            token[first : first + len(tokens)] = self.token[tokens]
            is_hard[first : first + len(tokens)] = same[tokens] & (role in ("inactive", "marked"))
        return Drawn(token, is_hard)

    def _strongest(
        self, active: Int[np.ndarray, " active"], activation: Float[np.ndarray, " token"], count: int
    ) -> NDArray[np.int64]:
        """The strongest token of each sequence, the strongest first; equal ones in the order of the text."""
        return self._one_of_each(active[np.argsort(-activation[active], kind="stable")])[:count]

    def _spread(
        self, active: Int[np.ndarray, " active"], activation: Float[np.ndarray, " token"], count: int
    ) -> NDArray[np.int64]:
        """Tokens at even steps of the ranks by activation: one of each sequence, and more only if these are too few."""
        drawn = active[np.argsort(self.place[active], kind="stable")]
        first = self._one_of_each(drawn)
        if len(first) < count:
            rest = drawn[~np.isin(drawn, first)]
            first = np.concatenate([first, rest[: count - len(first)]])
        ranked = first[np.argsort(activation[first], kind="stable")]
        steps = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(np.int64)
        return ranked[steps] if len(ranked) else ranked

    def _one_of_each(self, ordered: Int[np.ndarray, " token"]) -> NDArray[np.int64]:
        """The first token of each sequence, in the order given."""
        _, first = np.unique(self.sequence[ordered], return_index=True)
        return ordered[np.sort(first)]
