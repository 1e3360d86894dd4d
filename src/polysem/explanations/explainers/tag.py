"""The tag whose tokens the feature is active on, where a corpus has tags."""

import numpy as np

from polysem.explanations.shown import NOTHING, Explanation, Shown
from polysem.tables.passes.explanations.rules import Tagged


def explain(shown: Shown) -> Explanation | None:
    """The tag that correlates best with the activation; None where the corpus has no tags."""
    if not shown.texts.names:
        return None
    columns = shown.texts.tags[shown.token]
    found = shown.correlations(columns)
    best = int(np.argmax(found))
    if found[best] <= 0:
        return NOTHING
    name = shown.texts.names[best]
    return Explanation(f"tokens tagged {name}", Tagged(name, shown.level(columns[:, best])))
