"""S4.U3: the features of a dictionary as a list, in some order, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polysem.index.feature_index import FeatureIndex
from polysem.io.errors import InputError
from polysem.layout.feature_labels import Label
from polysem.params.explain import nearest

COLUMNS = {
    "frequency": ("frequency", "frequency"),
    "largest": ("frequency", "max_activation"),
    "power": ("alignment", "power_top1"),
}
"""Where the numbers of a line stand in the index: table and variable."""
ORDERS = ("feature", "label", *COLUMNS)
MOST_LINES = 1000


@dataclass(frozen=True)
class Line:
    """One feature of the list."""

    feature: int
    frequency: float
    """Share of tokens on which it is active."""
    largest: float
    """Its largest activation."""
    power: float
    """Share of its squared decoder weight in its strongest neuron."""
    labels: tuple[str, ...]
    """What people call it."""


@dataclass(frozen=True)
class Listing:
    """A page of the list."""

    lines: list[Line]
    features: int
    """How many features all pages have."""
    pages: int
    hidden: int
    """How many features of the dictionary are left out as dense."""


def browse(
    index: FeatureIndex,
    labels: Mapping[int, Sequence[Label]],
    order: str = "feature",
    *,
    descending: bool = False,
    density: float | None = None,
    page: int = 0,
    size: int = 50,
) -> Listing:
    """The features of a dictionary, of which no more columns are read than the order and the density need, and no more
    rows than stand on the page.

    Args:
        index: The index of the dictionary.
        labels: What people call its features, by number; others than there are do not matter.
        order: One of `ORDERS`. Labels are in the order of the alphabet, without regard to large and small letters.
        descending: Whether the last come first. What has no label, or a number that is none, comes last in any case;
            of features that are equal the lower number comes first in any case.
        density: Features that are active on a larger share of tokens than this are left out; None: none are.
        page: Which page, counted from 0. Behind the last one there are empty ones.
        size: Lines of a page.

    Raises InputError for another order, a density that is no share, and a page or size that there is not.
    """
    _check(order, density, page, size)
    there = np.arange(index.features)
    if density is not None:
        there = np.flatnonzero(index.column(*COLUMNS["frequency"]) <= density)
    if order == "label":
        ordered = _by_label(there, labels, descending)
    elif order == "feature":
        ordered = there[::-1] if descending else there
    else:
        ordered = _by_number(there, index.column(*COLUMNS[order])[there], descending)
    shown = ordered[page * size : (page + 1) * size]
    return Listing(
        lines=_lines(index, shown, labels),
        features=len(ordered),
        pages=ceil(len(ordered) / size),
        hidden=index.features - len(ordered),
    )


def _check(order: str, density: float | None, page: int, size: int) -> None:
    if order not in ORDERS:
        raise InputError(f"features cannot be ordered by {order!r}{nearest(order, list(ORDERS))}: {', '.join(ORDERS)}")
    if density is not None and not 0 <= density <= 1:
        raise InputError(f"density is {density!r}, allowed is a share of all tokens, 0 to 1")
    if page < 0:
        raise InputError(f"page is {page!r}; pages are counted from 0")
    if not 1 <= size <= MOST_LINES:
        raise InputError(f"size is {size!r}, allowed are 1 to {MOST_LINES} lines of a page")


def _by_number(features: NDArray[np.int64], values: NDArray[Any], descending: bool) -> NDArray[np.int64]:
    """Features by their values; NaN is last either way, which it is for NumPy if the values are not turned round."""
    return features[np.argsort(-values if descending else values, kind="stable")]


def _by_label(
    features: NDArray[np.int64], labels: Mapping[int, Sequence[Label]], descending: bool
) -> NDArray[np.int64]:
    named = np.isin(features, [number for number, several in labels.items() if several])
    first = sorted(features[named].tolist())
    first.sort(key=lambda feature: [label.text.casefold() for label in labels[feature]], reverse=descending)
    return np.concatenate([np.array(first, np.int64), features[~named]])


def _lines(index: FeatureIndex, features: NDArray[np.int64], labels: Mapping[int, Sequence[Label]]) -> list[Line]:
    numbers = {name: index.column(*place)[features].tolist() for name, place in COLUMNS.items()}
    return [
        Line(
            feature=feature,
            labels=tuple(label.text for label in labels.get(feature, ())),
            **{name: values[place] for name, values in numbers.items()},
        )
        for place, feature in enumerate(features.tolist())
    ]
