"""Activations at given places in the ascending order of all that a feature has."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.survey.recording import SecondLook

HELD = 1 << 24
"""Activations that are held at once: 64 MiB. What has more takes several looks."""


def order_statistics(
    active: Int[np.ndarray, " feature"], again: SecondLook, per_mille: Sequence[int]
) -> Float[np.ndarray, "feature quantile"]:
    """Of the n activations of each feature, ascending, the one at the place ⌈n·(thousandths)/1000⌉, counted from 1,
    and the first for 0; exact, NaN where n is 0. `active` holds n of each feature.
    """
    thousandths = np.array(per_mille)
    found = np.full((len(active), len(thousandths)), np.nan, np.float32)
    for part in _parts(active):
        counts = active[part]
        ends = np.cumsum(counts)
        activations = _by_feature(ends - counts, int(ends[-1]), part, again)
        for feature in np.flatnonzero(counts):
            own = np.sort(activations[ends[feature] - counts[feature] : ends[feature]])
            place = -(-thousandths * counts[feature] // 1000)
            found[part.start + feature] = own[np.maximum(place, 1) - 1]
    return found


def _parts(active: Int[np.ndarray, " feature"]) -> Iterator[slice]:
    """Consecutive features whose activations are held at once; one that has more stands alone."""
    ends = np.cumsum(active)
    start = 0
    while start < len(active):
        before = ends[start] - active[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + HELD, side="right")))
        yield slice(start, stop)
        start = stop


def _by_feature(first: NDArray[np.int64], count: int, part: slice, again: SecondLook) -> NDArray[np.float32]:
    """All activations of some features, those of each together from `first` on, in the order of the tokens."""
    activations = np.empty(count, np.float32)
    free = first.copy()
    for look in again():
        whole = part.stop - part.start == look.entries.features
        entries = look.entries if whole else look.entries.columns(part.start, part.stop)
        order, _, start = entries.by_feature
        here = entries.firings().numpy()
        place = np.repeat(free - start.numpy(), here) + np.arange(entries.count())
        activations[place] = entries.value.numpy()[order.numpy()]
        free += here
    return activations
