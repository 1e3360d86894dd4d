"""Features by how often they are active: which are frequent, ultra-low or never active."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.tables.parts.labels import variable

FREQUENT, ULTRA_LOW, NEVER = "frequent", "ultra-low", "never active"
"""The classes: every feature is in one of them."""


def is_ultra_low(frequency: xr.Dataset, below: float) -> NDArray[np.bool_]:
    """Over features: active on at least one token, and on a smaller share of all than `below`.

    Features that are never active are none of them: on few tokens most of those are merely rare, and what a feature
    that is never active would do cannot be known. They are counted apart.
    """
    values = frequency["frequency"].to_numpy()
    found: NDArray[np.bool_] = (values > 0) & (values < below)
    return found


def firings(frequency: xr.Dataset, below: float) -> float:
    """On how many of the tokens a feature is active that lies at the threshold; at 1 or less none that fires lies
    below it, and nothing can be said of ultra-low features."""
    return float(below * int(frequency.attrs["tokens"]))


def frequency_classes(frequency: xr.Dataset, below: float) -> dict[str, NDArray[np.bool_]]:
    """Which features are in each class, by its name: `FREQUENT` are those at the threshold or above."""
    values = frequency["frequency"].to_numpy()
    return {FREQUENT: values >= below, ULTRA_LOW: is_ultra_low(frequency, below), NEVER: values == 0}


def class_variables(classes: dict[str, NDArray[np.bool_]]) -> dict[str, xr.Variable]:
    """Over `frequency_class`, their names: `class_features`, how many features are in each, and `class_share`, their
    share of all."""
    names = np.array(list(classes), object)
    members = np.array([member.sum() for member in classes.values()], np.int64)
    whole = len(next(iter(classes.values())))
    return {
        "frequency_class": variable("frequency_class", names, "frequent, ultra-low or never active", "1"),
        "class_features": variable("frequency_class", members, "features of the class", "feature"),
        "class_share": variable("frequency_class", members / whole, "share of features in the class", "1"),
    }
