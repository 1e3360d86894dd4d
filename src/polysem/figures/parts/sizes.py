"""Dictionaries of one recipe and several sizes, the smallest first, among which features split."""

import xarray as xr

from polysem.figures.registry import NotApplicable

SHADES = ("#0072B2", "#D55E00", "#3F9E74", "#A3A8AE")
MARKERS = "o^sD"
"""By size."""
ONE_SIZE = (
    "the SAEs of this site have one size alone; a recipe with several expansions (expansion: [4, 8]) would show which "
    "features split"
)


def require_sizes(comparison: xr.Dataset) -> None:
    """NotApplicable where there is one size alone."""
    if "size_features" not in comparison:
        raise NotApplicable(ONE_SIZE)
