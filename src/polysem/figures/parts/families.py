"""Dictionaries of one recipe, which share a marker and a colour wherever those of a site stand together."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from polysem.io.errors import InputError

MARKERS = "os^Dv*P<X>p"


def with_families(table: xr.Dataset, families: Mapping[str, str]) -> xr.Dataset:
    """A table with the coordinate `family` along `dictionary`: the recipe that each is of, neurons by their own name.

    A table without that dimension stays as it is, and so does one that has a `family` of its own (`embedding_loss`).
    InputError for a dictionary that `families` do not name.
    """
    if "dictionary" not in table.dims or "family" in table.variables:
        return table
    names = [str(name) for name in table["dictionary"].to_numpy()]
    if unknown := [name for name in names if name not in families]:
        raise InputError(
            f"the recipe of {', '.join(unknown)} is not known; known are those of {', '.join(families) or 'none'}; "
            "`snakemake --cores all` records the recipes of all SAEs"
        )
    of_each = np.array([families[name] for name in names], dtype=object)
    return table.assign_coords(family=("dictionary", of_each, {"long_name": "recipe of the dictionary", "units": "1"}))
