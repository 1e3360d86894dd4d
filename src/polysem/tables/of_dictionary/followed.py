"""S2.X2: whether the features that were followed through a training get ever rarer."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from polysem.io.tables import read_table
from polysem.tables.inputs import Inputs
from polysem.tables.parts.labels import labelled, variable

CATALOGUE = "S2.X2"
READS = ("history",)
PARAMS = ()
VARIABLES = {
    "followed_features": (
        "course",
        "feature",
        "followed features rarer than 0.001 at the middle checkpoint, and of these rarer still at the last",
    ),
    "course": ("course", "1", "course of the frequency"),
}
ONLY = {"of an SAE that was trained here, where its recipe follows features": ("followed_features", "course")}
RARE = 1e-3
COURSES = ("rare half-way", "rarer at the end")


def courses(frequency: Float[np.ndarray, "checkpoint feature"]) -> xr.Dataset:
    """Over `course`: `followed_features`, how many features are rarer than 0.001 at the middle checkpoint, and how many
    of these are rarer still at the last one.

    Source: the comments of document S2, which ask whether rare features are dying.
    """
    middle, last = frequency[len(frequency) // 2], frequency[-1]
    rare = middle < RARE
    features = [int(rare.sum()), int((last[rare] < middle[rare]).sum())]
    return labelled(
        {
            "followed_features": variable(
                "course",
                features,
                "followed features rarer than 0.001 at the middle checkpoint, and of these rarer still at the last",
                "feature",
            )
        },
        {"course": variable("course", np.array(COURSES, object), "course of the frequency", "1")},
        {},
    )


def measure(inputs: Inputs) -> xr.Dataset:
    """The table: see `courses`. Of what was not trained here, or follows no features, it says so and holds nothing."""
    path = inputs.path_if_any("history")
    if path is None:
        return xr.Dataset(attrs={"not_applicable": "the dictionary was not trained here and has no history"})
    history = read_table(path)
    if "followed_frequency" not in history:
        return xr.Dataset(attrs={"not_applicable": "the recipe follows no features; followed_features lists them"})
    return courses(history["followed_frequency"].values)
