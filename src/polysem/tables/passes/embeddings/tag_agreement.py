"""S3.X1: whether clusters of examples are those of the known truth."""

from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from polysem.activations.rows import ActivationRows
from polysem.tables.parts.token_tags import TokenTags
from polysem.tables.passes.survey.windows import places_of

UNTAGGED = -1
TINY = 1e-9
"""Rounding of a mutual information."""
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
    rows: ActivationRows,
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
        carried = tags.at(*places_of(rows, known[part]))[:, order]
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
    also where nothing can be told: all examples have the same tag, or any arrangement agrees as well.
    Source: Vinh, Epps and Bailey 2010.
    """
    features, width = cluster.shape
    feature, example = np.nonzero(cluster >= 0)
    if not len(feature):
        return {name: np.full(features, np.nan, np.float32) for name in TAG_MEASURES}
    tags = tag[feature, example].astype(np.int64) + 1
    group = feature * width + cluster[feature, example]
    cell, both = np.unique(group * (tags.max() + 1) + tags, return_counts=True)
    cell_group, cell_tag = np.divmod(cell, tags.max() + 1)
    groups, first, place = np.unique(cell_group, return_index=True, return_inverse=True)
    in_group = np.bincount(group, minlength=features * width)[groups]
    of_group, of_cell = groups // width, cell_group // width
    named, of_name = np.unique(feature * (tags.max() + 1) + tags, return_counts=True)
    in_tag = of_name[np.searchsorted(named, of_cell * (tags.max() + 1) + cell_tag)]
    of_tag = named // (tags.max() + 1)
    size = np.bincount(feature, minlength=features)
    total = np.maximum(size, 1)
    pure = np.bincount(of_group, np.maximum.reduceat(both, first), features) / total
    shares = in_group[place] * in_tag / total[of_cell]
    mutual = np.bincount(of_cell, xlogy(both, both / shares), features) / total
    entropies = [
        -np.bincount(of, xlogy(count, count / total[of]), features) / total
        for of, count in ((of_group, in_group), (of_tag, of_name))
    ]
    expected = _chance(size, (of_group, in_group), (of_tag, of_name))
    most = (entropies[0] + entropies[1]) / 2 - expected
    apart = (np.bincount(of_tag, minlength=features) > 1) & (most > TINY)
    information = (mutual - expected) / np.where(apart, most, np.nan)
    return {
        "purity": np.where(size > 0, pure, np.nan).astype(np.float32),
        "adjusted_mutual_information": information.astype(np.float32),
    }


def _chance(
    size: NDArray[np.int64],
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    columns: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Mutual information of each feature on the mean over all arrangements: a sum over its clusters and its tags, each
    given as features and sizes, that only depends on how many have which size."""
    expected = np.zeros(len(size))
    for examples in np.unique(size[size > 0]).tolist():
        chosen = np.flatnonzero(size == examples)
        number = np.full(len(size), -1)
        number[chosen] = np.arange(len(chosen))
        counts = []
        for of, count in (rows, columns):
            here = number[of] >= 0
            key = number[of[here]] * (examples + 1) + count[here]
            counts.append(np.bincount(key, minlength=len(chosen) * (examples + 1)).reshape(len(chosen), -1))
        expected[chosen] = np.einsum("fa,ab,fb->f", counts[0], _expected(examples), counts[1], optimize=True)
    return expected


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
