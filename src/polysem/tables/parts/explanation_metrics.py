"""The numbers of each dictionary in the table `explanations`, by which runs are compared."""

import math
import re
from typing import Any

import xarray as xr

SCORES = ("simulation", "detection")
"""Scores that are metrics."""


def explanation_metrics(table: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    """{(site, dictionary): {metric: value}}; nothing of a model without explanations.

    `simulation_token`, `detection_token` and so on, the mean score over features of what an explainer says, on
    held-out examples, and `control_simulation_token` that of the same dictionary of the random-model control;
    `intruder_share`, the mean share of intruders among active examples that embeddings find.
    """
    if "not_applicable" in table.attrs:
        return {}
    fronts = {front: f"{front}mean_score" for front in ("", "control_") if f"{front}mean_score" in table}
    means = {front: table[name].sel(estimate="estimate") for front, name in fronts.items()}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for place, key in enumerate(zip(table["site"].values.tolist(), table["dictionary"].values.tolist(), strict=True)):
        numbers = {
            f"{front}{score}_{re.sub('[^a-z0-9]+', '_', str(name).lower())}": float(
                mean.isel(place=place).sel(explainer=name, score=score)
            )
            for front, mean in means.items()
            for name in table["explainer"].values
            for score in SCORES
        }
        numbers["intruder_share"] = float(table["mean_intruder_share"].sel(estimate="estimate")[place])
        found[key] = {name: value for name, value in numbers.items() if not math.isnan(value)}
    return found
