"""The tokens that the feature is active on, each with its own activation."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.explanations.shown import NOTHING, Explanation, Shown, rounded
from polysem.tables.passes.explanations.rules import Endings

MOST = 64
"""Tokens of a rule, those with most of the activation."""


def explain(shown: Shown) -> Explanation:
    """All tokens that it is active on."""
    ids, level, total = levels(shown)
    kept = np.argsort(-total, kind="stable")[:MOST]
    kept = kept[total[kept] > 0]
    if not len(kept):
        return NOTHING
    rule = Endings({(int(ids[one]),): rounded(level[one]) for one in kept})
    return Explanation(f"the tokens {shown.listed(ids[kept].tolist())}", rule)


def levels(
    shown: Shown,
) -> tuple[Int[NDArray, " kind"], Float[NDArray, " kind"], Float[NDArray, " kind"]]:
    """Which tokens there are, the activation that each lets expect, and the sum of theirs.

    What is expected is the mean as if the token had been seen once more without activation, so that one occurrence does
    not count for as much as many.
    """
    ids, kind = np.unique(shown.ids, return_inverse=True)
    total, count = np.bincount(kind, shown.activation), np.bincount(kind)
    return ids, total / (count + 1), total
