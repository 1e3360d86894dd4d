"""What every table says of itself: names and units of its variables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

COMPRESSED: Final = {"zlib": True, "complevel": 1, "shuffle": True}
"""Encoding of large variables that repeat themselves; give each a copy."""


ESTIMATES = ("estimate", "low", "high")
"""A number, and the ends of its 95 % bootstrap interval."""


def variable(dimensions: str | tuple[str, ...], values: ArrayLike, long_name: str, units: str) -> xr.Variable:
    """A variable with its name in words and its unit; a share or a count of nothing has the unit "1"."""
    return xr.Variable(dimensions, np.asarray(values), {"long_name": long_name, "units": units})


def scalar(value: float | int, long_name: str, units: str) -> xr.Variable:
    """A variable without dimensions."""
    return variable((), value, long_name, units)


def index(dimension: str, start: int, stop: int, long_name: str) -> xr.Variable:
    """The coordinate start … stop − 1 of a dimension."""
    return variable(dimension, np.arange(start, stop), long_name, "1")


def along_dictionaries(each: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """Tables of several dictionaries along `dictionary`; attributes are those of the first."""
    joined = xr.concat(
        each,
        dim="dictionary",
        combine_attrs="override",
        coords="minimal",
        compat="override",
        data_vars="all",
        join="outer",
    )
    return joined.assign_coords(
        dictionary=variable("dictionary", np.array(names, dtype=object), "dictionary of the site", "1")
    )


def labelled(
    variables: Mapping[str, xr.Variable], coordinates: Mapping[str, xr.Variable], attributes: Mapping[str, Any]
) -> xr.Dataset:
    """A Dataset of variables, coordinates and attributes."""
    return xr.Dataset(dict(variables), coords=dict(coordinates), attrs=dict(attributes))


def declared_table(
    declared: Mapping[str, tuple[str, str, str]], values: Mapping[str, ArrayLike], attributes: Mapping[str, Any]
) -> xr.Dataset:
    """A Dataset of values by the names under which a module declares them in `VARIABLES`; those that are called as
    their dimension are coordinates."""
    made = {}
    for name, found in values.items():
        dimensions, unit, words = declared[name]
        made[name] = variable(tuple(dimensions.split()), found, words, unit)
    along = [name for name in made if declared[name][0] == name]
    return labelled(made, {name: made.pop(name) for name in along}, attributes)
