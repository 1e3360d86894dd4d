"""What every table says of itself: the variables' names and units, and whose table it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from polysem.layout.place import Place
from polysem.params.base import ALL_DICTIONARIES

COMPRESSED: Final = {"zlib": True, "complevel": 1, "shuffle": True}
"""Encoding of large variables that repeat themselves; give each a copy."""


def variable(dimensions: str | tuple[str, ...], values: ArrayLike, long_name: str, units: str) -> xr.Variable:
    """A variable with its name in words and its unit; a share or a count of nothing has the unit "1"."""
    return xr.Variable(dimensions, np.asarray(values), {"long_name": long_name, "units": units})


def scalar(value: float | int, long_name: str, units: str) -> xr.Variable:
    """A variable without dimensions."""
    return variable((), value, long_name, units)


def index(dimension: str, start: int, stop: int, long_name: str) -> xr.Variable:
    """The coordinate start … stop − 1 of a dimension."""
    return variable(dimension, np.arange(start, stop), long_name, "1")


def dictionary_attributes(output: Path, catalogue: str) -> dict[str, str]:
    """Model, site and dictionary out of `…/{model}/{site}/{dictionary}/{table}.nc`, and catalogue ids ("S0.F1 S2.F3").

    Raises ValueError for a path with fewer parts.
    """
    if len(output.parts) < 4:
        raise ValueError(f"{output} does not end in model/site/dictionary/table.nc")
    model, site, dictionary = output.parts[-4:-1]
    return {"model": model, "site": site, "dictionary": dictionary, "catalogue": catalogue}


def attributes_of(place: Place, catalogue: str) -> dict[str, str]:
    """Whose table it is, and catalogue ids ("S0.F1 S2.F3"); one of a site is of all its dictionaries."""
    shared = {"dictionary": ALL_DICTIONARIES} if place.site and not place.dictionary else {}
    return place.values() | shared | {"catalogue": catalogue}


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
