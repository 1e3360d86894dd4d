"""What pairs of tags, of which one implies the other, say together, and beside those of a random-model control."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool
from numpy.typing import NDArray

from polysem.numerics.resampling import interval_of_values

MEANS = ("absorbed", "missed_with_child", "missed_elsewhere")
"""Shares of pairs of which there are means."""
OF_CONTROL = ("absorbed", "missed_with_child")
"""Those that stand beside the same of a control."""
Names = NDArray[np.object_]


def means(values: Mapping[str, Any], kept: Bool[np.ndarray, " pair"], seed: int) -> dict[str, float]:
    """Means over the pairs that are kept and have a share, with bootstrap intervals over these; NaN where none is."""
    found: dict[str, float] = {}
    for name in MEANS:
        shares = values[name][kept]
        low, high = interval_of_values(shares, np.mean, seed)
        found |= {f"{name}_share": _mean(shares), f"{name}_share_low": low, f"{name}_share_high": high}
    return found


def of_control(child: Names, parent: Names, kept: Bool[np.ndarray, " pair"], control: xr.Dataset) -> dict[str, Any]:
    """Shares of the same pairs, by the names of their tags, in the table of a control; NaN for a pair that it has not.
    Means are over the pairs that are kept here, if it has them."""
    theirs = list(zip(control["child"].values, control["parent"].values, strict=True)) if "child" in control else []
    place = {pair: number for number, pair in enumerate(theirs)}
    found: dict[str, Any] = {}
    for name in OF_CONTROL:
        shares = [
            float(control[name].values[place[pair]]) if pair in place else np.nan
            for pair in zip(child, parent, strict=True)
        ]
        found[f"control_{name}"] = np.array(shares, np.float64)
        found[f"control_{name}_share"] = _mean(found[f"control_{name}"][kept])
    return found


def _mean(shares: NDArray[np.float64]) -> float:
    known = shares[np.isfinite(shares)]
    return float(known.mean()) if len(known) else np.nan
