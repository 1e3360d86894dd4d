"""S1.F3: which tokens of the vocabulary belong to a context."""

import numpy as np
from numpy.typing import NDArray


def in_context_tokens(
    ids: NDArray[np.integer], carried: NDArray[np.bool_], vocabulary: int, tags: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Of some tags, the tokens of the vocabulary that are mostly seen with them, bool [tag, token].

    `ids` [token] are tokens of a corpus, `carried` [token, tag] the tags that they carry there. A token belongs to a
    context if at least half of the times that it is seen it carries the tag; no token belongs to tag -1.
    Source: document S1, "Logit weights" (tokens coloured by the hypothesised context).
    """
    seen = np.bincount(ids, minlength=vocabulary)
    found = np.zeros((len(tags), vocabulary), np.bool_)
    for row, tag in zip(found, tags, strict=True):
        if tag >= 0:
            within = np.bincount(ids[carried[:, tag]], minlength=vocabulary)
            row[:] = (2 * within >= seen) & (seen > 0)
    return found
