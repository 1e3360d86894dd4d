"""S2.F6: how many features of the ultra-low cluster are active on one token, and where a direction is strongest."""

from typing import Any, TypeVar

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.activations.rows import ActivationRows
from polysem.tables.parts.labels import index, labelled, scalar, variable
from polysem.tables.passes.survey.recording import SecondLook
from polysem.tables.passes.survey.windows import places_of

Number = TypeVar("Number", np.int64, np.float32)
CONTEXTS = 20
"""Tokens that are named."""


def co_firing(cluster: Bool[np.ndarray, " feature"], rows: ActivationRows, again: SecondLook) -> xr.Dataset:
    """How many features of a cluster are active on the same token.

    Over `active`, a number of features: `ultra_low_active`, on how many tokens so many of them are active;
    `ultra_low_active_at_least`, on how many tokens so many or more; and `ultra_low_active_at_least_independent`, on how
    many by `independent`. Scalars:
    `ultra_low_firing`, features of the cluster that are ever active; `co_firing_largest`, the most on one token, and
    `co_firing_largest_share`, as a share of those that are ever active (NaN if none is). Over `co_firing_context`, the
    tokens on which most are active, earlier ones first: `co_firing_sequence`, `co_firing_position` (−1 behind the last
    token with any) and `co_firing_active`.
    """
    member = torch.from_numpy(cluster)
    fired = torch.zeros(len(cluster), dtype=torch.bool)
    histogram = np.zeros(1, np.int64)
    most, where = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for look in again():
        entries = look.entries
        hit = torch.nonzero(member[entries.feature]).view(-1)
        fired[entries.feature[hit]] = True
        active = torch.bincount(entries.row[hit], minlength=entries.tokens).numpy()
        counts = np.bincount(active, minlength=len(histogram))
        counts[: len(histogram)] += histogram
        histogram = counts
        most, where = _largest(active, look.first, most, where)
    most, where = most[most > 0], where[most > 0]
    firing, largest = int(fired.sum()), len(histogram) - 1
    sequence, position = _places(rows, where)

    def context(values: NDArray[np.int32] | NDArray[np.int64], none: int, long_name: str) -> xr.Variable:
        filled = np.pad(values, (0, CONTEXTS - len(values)), constant_values=none)
        return variable("co_firing_context", filled, long_name, "1")

    variables = {
        "ultra_low_active": variable("active", histogram, "tokens by ultra-low features active on them", "token"),
        "ultra_low_active_at_least": variable(
            "active", at_least(histogram), "tokens by ultra-low features active on them, at least", "token"
        ),
        "ultra_low_active_at_least_independent": variable(
            "active",
            at_least(independent(histogram)),
            "the same, were each active on tokens of its own choice (Poisson)",
            "token",
        ),
        "ultra_low_firing": scalar(firing, "ultra-low features that are ever active", "feature"),
        "co_firing_largest": scalar(largest, "most ultra-low features active on one token", "feature"),
        "co_firing_largest_share": scalar(
            largest / firing if firing else np.nan, "share of those that are ever active in that number", "1"
        ),
        "co_firing_sequence": context(sequence, -1, "sequence of a token on which most of them are active"),
        "co_firing_position": context(position, -1, "position of that token in the sequence"),
        "co_firing_active": context(most, 0, "ultra-low features active on that token"),
    }
    coordinates = {"active": index("active", 0, len(histogram), "ultra-low features active on a token")}
    return labelled(variables, coordinates, {"tokens": int(histogram.sum())})


def at_least(tokens: NDArray[Any]) -> NDArray[Any]:
    """Tokens with at least so many active features, of tokens by number of active features."""
    return np.cumsum(tokens[::-1])[::-1]


def independent(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tokens by number of active features, were each activation on a token of its own choice: a Poisson law with the
    same mean."""
    whole = tokens.sum()
    mean = float((np.arange(tokens.size) * tokens).sum() / whole) if whole else 0.0
    terms = np.cumprod(np.r_[np.exp(-mean), mean / np.arange(1, tokens.size)])
    return np.asarray(whole * terms)


def highest_projections(rows: ActivationRows, direction: Float[np.ndarray, " neuron"], count: int) -> xr.Dataset:
    """The tokens whose activations have the largest inner products with a direction, largest first.

    Over `projection_context`: `projection`, `projection_sequence` and `projection_position`; fewer than `count` in a
    store of fewer tokens.
    """
    weights = torch.from_numpy(np.asarray(direction, np.float32))
    best, where = np.zeros(0, np.float32), np.zeros(0, np.int64)
    start = 0
    for x in rows.blocks():
        projection: Tensor = torch.from_numpy(x) @ weights
        best, where = _largest(projection.numpy(), start, best, where, count)
        start += len(x)
    sequence, position = _places(rows, where)
    context = "projection_context"
    variables = {
        "projection": variable(context, best, "inner product with the direction", "activation"),
        "projection_sequence": variable(context, sequence, "sequence of the token", "1"),
        "projection_position": variable(context, position, "position of the token in its sequence", "1"),
    }
    return labelled(variables, {}, {"tokens": rows.length})


def _largest(
    values: NDArray[Number], first: int, best: NDArray[Number], where: NDArray[np.int64], count: int = CONTEXTS
) -> tuple[NDArray[Number], NDArray[np.int64]]:
    """The largest of the best so far and of the values of tokens first, first + 1, …; earlier tokens first if equal."""
    every = np.concatenate([best, values])
    places = np.concatenate([where, first + np.arange(len(values))])
    order = np.argsort(-every, kind="stable")[:count]
    return every[order], places[order]


def _places(rows: ActivationRows, where: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    sequence, position = places_of(rows, where)
    return sequence.astype(np.int32), position.astype(np.int32)
