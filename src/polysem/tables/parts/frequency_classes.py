"""Which features are ultra-low: hardly ever active, and yet active."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray


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
