"""S0.F4, S4.X3: the examples of one sheet: those that differ, the strongest as they are, and those drawn at random."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polysem.io.columns import Columns
from polysem.report.contexts import Example, ImageContexts, Subjects, TextContexts
from polysem.report.numbers import in_words

INTERVALS = 5
"""Quantile intervals into which the drawn examples are sorted."""


class Interval(NamedTuple):
    """Examples whose activation lies in a range of quantiles of the feature's active tokens."""

    title: str
    examples: list[Example]


@dataclass(frozen=True)
class Examples:
    """The sections of one sheet."""

    diverse: list[Example]
    said: str
    """How the diverse ones were chosen, and how many of the strongest are distinct."""
    top: list[Example]
    intervals: list[Interval]
    subjects: Subjects


class SheetExamples:
    """The sections of all sheets of a dictionary, one by one, out of the rows of its tables `examples` and
    `diverse_examples`."""

    def __init__(self, examples: Columns, diverse: Columns, contexts: TextContexts | ImageContexts) -> None:
        self._contexts = contexts
        self._examples, self._diverse = examples, diverse

    def of(self, row: int, largest: float) -> Examples:
        """The sections of the feature in this row, whose largest activation is given."""
        kinds, quantiles = self._examples["kind"].astype(str), self._examples["quantile"][row]
        made = list(self._made(self._examples, row, largest))
        drawn = [(float(quantiles[slot]), self._above(example, quantiles[slot])) for slot, example in made]
        drawn = [each for each, (slot, _) in zip(drawn, made, strict=True) if kinds[slot] == "sample"]
        diverse = [self._standing(example, row, slot) for slot, example in self._made(self._diverse, row, largest)]
        return Examples(
            diverse=diverse,
            said=self._said(row) if diverse else "",
            top=[example for slot, example in made if kinds[slot] == "top"],
            intervals=_by_interval(drawn),
            subjects=self._subjects(row, kinds == "top"),
        )

    def _made(self, table: Columns, row: int, largest: float) -> Iterator[tuple[int, Example]]:
        """The examples of a table, with their places in it."""
        key = _key(table)
        for slot, sequence in enumerate(table["sequence"][row].tolist()):
            if sequence >= 0:
                tokens, around = table["token"][row, slot], table["window_activation"][row, slot]
                token = int(tokens[key])
                yield (
                    slot,
                    Example(
                        self._contexts.example(tokens, around, table["offset"], largest, sequence),
                        self._contexts.name(token) if token >= 0 else None,
                        _number(table["activation"][row, slot]),
                        self._contexts.place(sequence, int(table["position"][row, slot])),
                        self._contexts.plain(tokens),
                    ),
                )

    def _above(self, example: Example, quantile: float) -> Example:
        """An example with the share of the active tokens on which the feature is less active."""
        if np.isnan(quantile):
            return example
        share = f"{100 * quantile:.3g} %"
        return example._replace(place=f"{example.place}, above {share} of the active {self._contexts.unit}")

    def _standing(self, example: Example, row: int, slot: int) -> Example:
        """An example with the number of those that it stands for."""
        repeats, similar = (int(self._diverse[name][row, slot]) for name in ("repeats", "similar"))
        others = ((repeats, "the same in the same context"), (similar, "similar"))
        said = " and ".join(f"{count} {words}" for count, words in others if count)
        if not said:
            return example
        return example._replace(more=f"+{repeats + similar}", place=f"{example.place}; stands for {said}")

    def _said(self, row: int) -> str:
        unit, table, chosen = self._contexts.unit, self._diverse, self._diverse.attributes
        number = int(table["candidates"][row])
        how = (
            f"whose neuron embeddings lie more than a cosine distance of {chosen['different_distance']:g} apart"
            if "different_examples" in table
            else "that are no repeats of each other"
        )
        counts = (
            ("distinct_tokens", "tokens"),
            ("distinct_contexts", f"contexts with the {chosen.get('repeat_context')} tokens before"),
            ("different_examples", "neuron embeddings"),
        )
        found = ", ".join(f"{int(table[name][row])} {words}" for name, words in counts if name in table)
        top = min(number, int(chosen["top_examples"]))
        among = f" Different ones among its {top} strongest: {found}." if found else ""
        return f"Of its {number} strongest {unit} those {how}; +n: for how many others one stands.{among}"

    def _subjects(self, row: int, is_top: NDArray[np.bool_]) -> Subjects:
        table = self._examples
        known = is_top & (table["sequence"][row] >= 0)
        return self._contexts.subjects(table["token"][row, known, _key(table)], table["sequence"][row, known])


def _key(table: Columns) -> int:
    """The place of the token that an example is about."""
    return int(np.flatnonzero(table["offset"] == 0)[0])


def _by_interval(examples: list[tuple[float, Example]]) -> list[Interval]:
    """Examples in quantile intervals of equal width, the highest first."""
    intervals: list[Interval] = []
    for place in reversed(range(INTERVALS)):
        members = [example for quantile, example in examples if min(int(quantile * INTERVALS), INTERVALS - 1) == place]
        if members:
            title = f"{100 * place // INTERVALS}–{100 * (place + 1) // INTERVALS} %"
            intervals.append(Interval(title, members))
    return intervals


def _number(value: float) -> str:
    return "–" if np.isnan(value) else in_words(float(value))
