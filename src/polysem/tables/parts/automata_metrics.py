"""The numbers of each dictionary in the table `automata`, by which runs are compared."""

import math
from typing import Any

import xarray as xr

from polysem.numerics.motifs import KINDS

NAMES = dict(zip(KINDS, ("self_loops", "two_loops", "feature_chains"), strict=True))
"""Kinds of motifs, and what they are called among the metrics."""
CORRELATIONS = ("lift_prediction_correlation", "lift_prediction_correlation_exchanged")


def automata_metrics(table: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    """{(site, dictionary): {metric: value}}; nothing of a model without a next token.

    `self_loops`, `two_loops` and `feature_chains` are found; of the strongest, `tried_self_loops` and so on,
    `confirmed_self_loops` are those all of whose edges ablation confirms; `confirmed_edge_share` is of all these edges.
    Rank correlations of lift and prediction, and with predictions of other features, where there are such.
    """
    if "not_applicable" in table.attrs:
        return {}
    kinds = [NAMES[str(kind)] for kind in table["kind"].values]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for place, key in enumerate(zip(table["place_site"].values, table["place_dictionary"].values, strict=True)):
        of = table.isel(place=place)
        numbers: dict[str, Any] = {}
        for number, name in enumerate(kinds):
            numbers[name] = int(of["found"].values[number])
            numbers |= {f"{state}_{name}": int(of[state].values[number]) for state in ("tried", "confirmed")}
        if tried := int(of["tried_edges"]):
            numbers["confirmed_edge_share"] = int(of["confirmed_edges"]) / tried
        numbers |= {name: value for name in CORRELATIONS if not math.isnan(value := float(of[name]))}
        site, dictionary = map(str, key)
        found[site, dictionary] = numbers
    return found
