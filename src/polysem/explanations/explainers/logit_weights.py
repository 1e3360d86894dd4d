"""What a feature promotes: it is said to be active in front of the tokens whose logits it raises."""

import numpy as np

from polysem.explanations.shown import NOTHING, Explanation, Shown
from polysem.tables.passes.explanations.rules import Ahead


def explain(shown: Shown) -> Explanation | None:
    """As many of the tokens that it promotes most as correlate best with its activation on the token before; None
    where no weights lead to the logits."""
    if shown.boosted is None:
        return None
    rank = np.full(int(max(shown.boosted.max(), shown.texts.ids.max(initial=0))) + 2, len(shown.boosted))
    rank[shown.boosted[::-1]] = np.arange(len(shown.boosted))[::-1]
    columns = rank[shown.texts.following[shown.token]][:, None] <= np.arange(len(shown.boosted))
    found = shown.correlations(columns)
    best = int(np.argmax(found))
    if found[best] <= 0:
        return NOTHING
    tokens = shown.boosted[: best + 1].tolist()
    return Explanation(f"what comes before {shown.listed(tokens)}", Ahead(tuple(tokens), shown.level(columns[:, best])))
