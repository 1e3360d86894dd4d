"""Sums over pairs of numbers, of which correlations are made.

Those of parts add up to those of the whole, so that parts can be resampled.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def paired_terms(x: Numbers, y: Numbers) -> dict[str, Numbers]:
    """What is summed, of each pair."""
    return {"n": np.ones_like(x), "x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}


def pearson_of_sums(of: Mapping[str, Numbers]) -> Numbers:
    """Pearson correlation of pairs by the sums of their `paired_terms`; not finite where one of both never varies."""
    covariance = of["xy"] - of["x"] * of["y"] / of["n"]
    spread = (of["xx"] - of["x"] ** 2 / of["n"]) * (of["yy"] - of["y"] ** 2 / of["n"])
    return np.asarray(covariance / np.sqrt(spread))
