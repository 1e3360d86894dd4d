"""Scores of the features of each dictionary: means with intervals, and how they are spread."""

import warnings

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.numerics.resampling import interval_of_values
from polysem.tables.parts.labels import ESTIMATES

QUARTILES = ("median", "lower", "upper")
_AT = (0.5, 0.25, 0.75)


def means(
    values: Float[np.ndarray, "explained ..."], place: Int[np.ndarray, " explained"], places: int, seed: int
) -> Float[NDArray, "place ... estimate"]:
    """Means over the known values of each place, with the ends of their 95 % bootstrap intervals; NaN without any."""
    found = np.full((places, *values.shape[1:], len(ESTIMATES)), np.nan)
    for one in range(places):
        mine = values[place == one]
        for at in np.ndindex(*values.shape[1:]):
            known = mine[(slice(None), *at)]
            known = known[np.isfinite(known)]
            if len(known):
                found[(one, *at)] = known.mean(), *interval_of_values(known, np.mean, seed)
    return found


def quartiles(
    values: Float[np.ndarray, "explained ..."], place: Int[np.ndarray, " explained"], places: int
) -> Float[NDArray, "place ... quartile"]:
    """Median and quartiles over the known values of each place; NaN without any."""
    found = np.full((places, *values.shape[1:], len(QUARTILES)), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a place without values has no quartiles
        for one in range(places):
            if (place == one).any():
                found[one] = np.moveaxis(np.nanquantile(values[place == one], _AT, axis=0), 0, -1)
    return found


def listed(
    values: Float[np.ndarray, "explained explainer"], place: Int[np.ndarray, " explained"], places: int
) -> Int[NDArray, " explained"]:
    """1 for the features of each place that stand for all: the highest, the middle and the lowest by the mean over
    explainers, the smaller number first among equals; 0 for all others."""
    known = np.isfinite(values)
    mean = np.divide(
        np.where(known, values, 0).sum(axis=1), known.sum(axis=1), where=known.any(axis=1), out=_none(values)
    )
    found = np.zeros(len(values), np.int8)
    for one in range(places):
        mine = np.flatnonzero((place == one) & np.isfinite(mean))
        ranked = mine[np.argsort(-mean[mine], kind="stable")]
        if len(ranked):
            found[ranked[[0, (len(ranked) - 1) // 2, -1]]] = 1
    return found


def _none(values: Float[np.ndarray, "explained explainer"]) -> Float[NDArray, " explained"]:
    return np.full(len(values), np.nan)
