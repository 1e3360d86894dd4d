"""Baseline: the single token that says most about the feature."""

import numpy as np

from polysem.explanations.shown import NOTHING, Explanation, Shown
from polysem.tables.passes.explanations.rules import Endings


def explain(shown: Shown) -> Explanation:
    """The token that correlates best with the activation."""
    ids, count = np.unique(shown.ids, return_counts=True)
    active = np.unique(shown.ids[shown.is_active])
    if not len(active):
        return NOTHING
    total = np.bincount(np.searchsorted(ids, shown.ids), shown.activation, len(ids))
    mean, tokens = shown.activation.mean(), len(shown.ids)
    spread = np.sqrt(count * (1 - count / tokens))
    correlation = np.divide(total - count * mean, spread, out=np.full(len(ids), -np.inf), where=spread > 0)
    best = int(ids[np.argmax(correlation)])
    level = shown.level(shown.ids == best)
    return Explanation(f'the token "{shown.called(best)}"', Endings({(best,): level})) if level > 0 else NOTHING
