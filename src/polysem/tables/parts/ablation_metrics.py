"""The numbers of each dictionary in the table `ablation`, by which runs are compared."""

import math
from typing import Any

import xarray as xr

NAMES = {"median_kl": "ablation_median_kl", "above_random_share": "ablation_above_random_share"}
"""Variables of the table, and what they are called among the metrics."""


def ablation_metrics(table: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    """{(site, dictionary): {metric: value}}; nothing of a dictionary of which no feature was ablated.

    `ablation_median_kl`, the median over features of KL(clean ‖ ablated), in nats, at a token on which the feature is
    active; `ablation_above_random_share`, the share of features with a larger one than 95 % of as many removals along
    random directions.
    """
    places = zip(table["site"].values.tolist(), table["dictionary"].values.tolist(), strict=True)
    found = {}
    for number, place in enumerate(places):
        of_place = table.isel(place=number).sel(estimate="estimate")
        numbers = {name: float(of_place[variable]) for variable, name in NAMES.items()}
        found[place] = {name: value for name, value in numbers.items() if not math.isnan(value)}
    return found
