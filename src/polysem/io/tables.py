"""Tables: one xarray Dataset per netCDF file, written whole and with the same bytes for the same content."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from polysem.io.atomic import written
from polysem.io.columns import MANY
from polysem.io.errors import InputError


def write_table(path: Path, table: xr.Dataset) -> None:
    """Write a Dataset as netCDF 4; every data variable must say its `long_name` and `units`.

    Raises ValueError for a variable without them: a number nobody can name is of no use downstream.
    """
    for name, variable in table.data_vars.items():
        if missing := {"long_name", "units"} - variable.attrs.keys():
            raise ValueError(f"variable {name!r} of {path.name} lacks {', '.join(sorted(missing))}")
    with written(path) as partial:
        try:
            table.to_netcdf(partial, engine="netcdf4")
        except RuntimeError:  # all that HDF5 says is that something failed; a full disk says it itself
            with partial.open("ab") as file:
                file.write(bytes(table.nbytes + 2**20))
            raise


def read_table(path: Path, *, features: Sequence[int] | None = None, without: Collection[str] = ()) -> xr.Dataset:
    """Read a Dataset into memory, or no more than the rows of some `features`, in their order, `without` some
    variables; InputError if the file is no table.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4", drop_variables=list(without)) as table:
            if features is None or "feature" not in table.dims:
                return table.load()
            many = len(features) * MANY > table.sizes["feature"]
            return (table.load() if many else table).isel(feature=list(features)).load()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); delete it and run again") from error


def read_arrays(path: Path, wanted: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
    """The variables of a table with wanted names, as plain arrays; InputError if the file is no table."""
    try:
        with h5py.File(path) as file:
            found = {name: file[name] for name in file if wanted(name)}
            return {
                name: np.asarray(of.asstr()[()] if h5py.check_string_dtype(of.dtype) else of[()])
                for name, of in found.items()
            }
    except OSError as error:
        raise InputError(f"{path} cannot be read as a table ({error}); delete it and run again") from error


def read_scalars(path: Path) -> dict[str, float]:
    """All numbers of a table without dimensions; InputError if the file is no table.

    A study may have ten tables for each of a thousand SAEs, and h5py opens one much faster than xarray.
    """
    try:
        with h5py.File(path) as file:
            return {
                name: float(value[()])
                for name, value in file.items()
                if isinstance(value, h5py.Dataset) and value.shape == () and value.dtype.kind in "biuf"
            }
    except OSError as error:
        raise InputError(f"{path} cannot be read as a table ({error}); delete it and run again") from error
