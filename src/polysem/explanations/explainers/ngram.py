"""Tokens behind other tokens: what a feature is active on in one context and not in another."""

import numpy as np

from polysem.explanations.explainers import token
from polysem.explanations.shown import Explanation, Shown, rounded
from polysem.tables.passes.explanations.rules import Endings
from polysem.tables.passes.explanations.texts import LONGEST

MOST = 32
"""Endings of each length, those that explain most beyond the shorter ones."""
NAMED = 4
"""Endings that the text names."""


def explain(shown: Shown) -> Explanation:
    """The rule of tokens, corrected by those before them where these change what is to be expected.

    An ending lets expect the mean activation behind it as if it had been seen once more with what the shorter ending
    lets expect.
    """
    first = token.explain(shown)
    assert isinstance(first.rule, Endings)
    level = dict(first.rule.level)
    named: list[tuple[int, ...]] = []
    for length in range(2, LONGEST + 1):
        expected = Endings(level).predict(shown.texts, shown.token)
        found = _endings(shown, length, expected, {ending[-1] for ending in level if len(ending) == 1})
        level |= found
        named += [ending for ending, value in found.items() if value > 0]
    words = ", ".join(f'"{"".join(map(shown.called, ending))}"' for ending in named[:NAMED])
    return Explanation(f"{words}; else {first.text}" if words else first.text, Endings(level))


def _endings(shown: Shown, length: int, expected: np.ndarray, known: set[int]) -> dict[tuple[int, ...], float]:
    """The endings of some length, in front of which stand known tokens, that correct most of what is expected."""
    columns = [shown.texts.previous(back)[shown.token] for back in range(length - 1, 0, -1)] + [shown.ids]
    there = np.isin(shown.ids, sorted(known)) & (columns[0] >= 0)
    if not there.any():
        return {}
    rows, kind = np.unique(np.stack(columns, axis=1)[there], axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    count, total = np.bincount(kind), np.bincount(kind, shown.activation[there])
    before = np.bincount(kind, expected[there]) / count
    gain = count * (total / count - before) ** 2
    best = np.argsort(-gain, kind="stable")[:MOST]
    return {
        tuple(rows[one].tolist()): rounded((total[one] + before[one]) / (count[one] + 1))
        for one in best
        if gain[one] > 0 and count[one] > 1
    }
