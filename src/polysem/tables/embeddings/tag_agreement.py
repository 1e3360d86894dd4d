"""S3.X1: whether clusters of examples are those of the known truth."""

from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from polysem.tables.survey.windows import Places
from polysem.tables.token_tags import TokenTags

UNTAGGED = -1
PLACES = 1 << 16
"""Tokens whose tags are read at once."""
TAG_MEASURES = {
    "purity": ("share of examples with the most frequent tag of their cluster", "1"),
    "adjusted_mutual_information": ("mutual information of clusters and tags beyond chance, 1: the same", "1"),
}


def rarest_tags(
    token: Int[np.ndarray, "feature example"],
    base_rate: Float[np.ndarray, " tag"],
    tags: TokenTags,
    places: Places,
) -> Int[np.ndarray, "feature example"]:
    """The tag of each token that fewest tokens of the corpus carry, as its place along `tag`; −1 for a token without
    tags and for −1.

    A token carries several tags, of which the frequent ones say least; classes of images exclude each other.
    """
    known = np.unique(token[token >= 0])
    found = np.full(len(known), UNTAGGED, np.int16)
    order = np.argsort(np.nan_to_num(base_rate, nan=np.inf), kind="stable")
    for start in range(0, len(known), PLACES):
        part = slice(start, start + PLACES)
        carried = tags.at(*places.of(known[part]))[:, order]
        found[part] = np.where(carried.any(axis=1), order[carried.argmax(axis=1)], UNTAGGED)
    if not len(known):
        return np.full(token.shape, UNTAGGED, np.int16)
    place = np.minimum(np.searchsorted(known, token), len(known) - 1)
    return np.where(token >= 0, found[place], UNTAGGED).astype(np.int16)


def agreement(
    cluster: Int[np.ndarray, "feature example"], tag: Int[np.ndarray, "feature example"]
) -> dict[str, NDArray[np.float32]]:
    """`purity` and `adjusted_mutual_information` of clusters and tags of each feature; no tag is a tag of its own.

    Adjusted for chance by the mean over all arrangements, and against the mean of both entropies, as scikit-learn does;
    one call of it takes longer than all other measures of a feature. NaN where there are no clusters; the information
    also where all examples have the same tag, as there is nothing to be told apart.
    Source: Vinh, Epps and Bailey 2010.
    """
    purity = np.full(len(cluster), np.nan, np.float32)
    information = np.full(len(cluster), np.nan, np.float32)
    for feature in np.flatnonzero((cluster >= 0).any(axis=1)).tolist():
        table = _contingency(cluster[feature], tag[feature])
        size = int(table.sum())
        purity[feature] = table.max(axis=1).sum() / size
        rows, columns = table.sum(axis=1), table.sum(axis=0)
        if len(columns) > 1:
            shares = np.outer(rows, columns) / size
            mutual = xlogy(table, table / shares).sum() / size
            expected = _expected(size)[np.ix_(rows, columns)].sum()
            entropies = [-(xlogy(of, of / size)).sum() / size for of in (rows, columns)]
            most = np.mean(entropies) - expected
            information[feature] = (mutual - expected) / (most if abs(most) > 1e-12 else 1e-12)
    return {"purity": purity, "adjusted_mutual_information": information}


def _contingency(cluster: Int[np.ndarray, " example"], tag: Int[np.ndarray, " example"]) -> NDArray[np.int64]:
    valid = cluster >= 0
    row, tags = cluster[valid].astype(np.int64), tag[valid]
    present, column = np.unique(tags, return_inverse=True)
    width = len(present)
    return np.bincount(row * width + column, minlength=(row.max() + 1) * width).reshape(-1, width)


@cache
def _expected(size: int) -> NDArray[np.float64]:
    """For a cluster of a and a tag of b of `size` examples, at [a, b], what they add to the mutual information on the
    mean over all arrangements: a hypergeometric sum."""
    log = gammaln(np.arange(size + 2))  # log[n + 1] = log n!
    factorial = log[1:]
    a = np.arange(size + 1)[:, None]
    b = np.arange(size + 1)[None, :]
    total = np.zeros((size + 1, size + 1))
    for both in range(1, size + 1):
        rest = size - a - b + both
        possible = (a >= both) & (b >= both) & (rest >= 0)
        i, j = np.nonzero(possible)
        chance = (
            factorial[i] + factorial[j] + factorial[size - i] + factorial[size - j] - factorial[size]
            - factorial[both] - factorial[i - both] - factorial[j - both] - factorial[rest[i, j]]
        )  # fmt: skip
        total[i, j] += both / size * np.log(size * both / (i * j)) * np.exp(chance)
    return total
