"""Tables as plain arrays, read without xarray, which takes ten times as long to open a file of many variables."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5r
from numpy.typing import NDArray

from polysem.io.errors import InputError

MANY = 8
"""More than one row in this many: reading the whole file is faster than picking."""
FEATURE = "feature"
NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
"""How HDF5 calls a dimension that has a length and no values."""
DIMENSIONS, SCALE, LENGTH = b"DIMENSION_LIST", b"CLASS", "NAME"
PACKED = (b"scale_factor", b"add_offset", b"missing_value")
OF_THE_FORM = ("_NC", "coordinates")
"""How attributes begin that say how a file is written."""
UNREADABLE = (OSError, KeyError, RuntimeError, ValueError)
"""What h5py raises for a file that is none of its kind, cut off or damaged."""


@dataclass(frozen=True)
class Columns:
    """A table, or some rows of it, as plain arrays by the names of its variables, coordinates among them."""

    arrays: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Any]
    """Those of the table, as plain values."""

    def __getitem__(self, variable: str) -> NDArray[Any]:
        """A variable; KeyError if the table has none of this name."""
        return self.arrays[variable]

    def __contains__(self, variable: object) -> bool:
        """Whether the table has a variable of this name."""
        return variable in self.arrays


class TableFile:
    """An open table of those that `polysem.io.tables.write_table` writes."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._path = path
        self._variables: dict[str, h5py.Dataset] = {}
        self.dimensions: dict[str, tuple[str, ...]] = {}
        """Those of each variable."""
        for name, dataset in file.items():
            if not (h5a.exists(dataset.id, SCALE) and dataset.attrs[LENGTH].startswith(NO_VARIABLE)):
                self._variables[name] = dataset
                self.dimensions[name] = _dimensions(file, name, dataset)
        self.attributes: dict[str, Any] = {
            name: plain(value) for name, value in file.attrs.items() if not name.startswith(OF_THE_FORM)
        }
        """Those of the table, as plain values."""

    def __len__(self) -> int:
        """How many features it has rows of; 0 if it says nothing of single ones."""
        for name, dimensions in self.dimensions.items():
            if FEATURE in dimensions:
                return int(self._variables[name].shape[dimensions.index(FEATURE)])
        return 0

    def read(self, name: str, features: Sequence[int] | None = None) -> NDArray[Any]:
        """A variable, or its rows of some `features`, in their order; texts are objects, as xarray has them.

        InputError if it cannot be read, or is packed in a way that these tables are not.
        """
        dataset = self._variables[name]
        integer = dataset.dtype.kind in "iu"
        if any(h5a.exists(dataset.id, key) for key in (*PACKED, *([b"_FillValue"] if integer else []))):
            raise InputError(f"{name} of {self._path} is packed, which tables of polysem are not; measure it again")
        texts = h5py.check_string_dtype(dataset.dtype) is not None
        try:
            picked = _picked(dataset.asstr() if texts else dataset, dataset.shape, self.dimensions[name], features)
        except UNREADABLE as error:
            raise _unreadable(self._path, error) from error
        values: NDArray[Any] = np.asarray(picked, dtype=object if texts else None)
        says = plain(dataset.attrs["dtype"]) if h5a.exists(dataset.id, b"dtype") else ""
        return values.astype(bool) if values.dtype == np.int8 and says == "bool" else values


def read_columns(path: Path, features: Sequence[int] | None = None) -> Columns:
    """A table, or no more than the rows of some `features`, in their order. InputError if the file is no table."""
    with table_file(path) as table:
        return Columns({name: table.read(name, features) for name in table.dimensions}, table.attributes)


@contextmanager
def table_file(path: Path) -> Iterator[TableFile]:
    """A table to read variables of, one by one. InputError if the file is no table."""
    try:
        file = h5py.File(path)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    with file:
        try:
            table = TableFile(file, path)
        except (*UNREADABLE, TypeError, AttributeError) as error:
            raise _unreadable(path, error) from error
        yield table


def plain(value: Any) -> Any:
    """An attribute as a plain value; an array of one number is that number, as netCDF knows no difference."""
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def _dimensions(file: h5py.File, name: str, dataset: h5py.Dataset) -> tuple[str, ...]:
    if not dataset.shape:
        return ()
    if not h5a.exists(dataset.id, DIMENSIONS):
        if not h5a.exists(dataset.id, SCALE):
            raise ValueError(f"{name} says nothing of its dimensions")
        return (name,)  # a coordinate, which is the scale of its own dimension
    references = dataset.attrs[DIMENSIONS.decode()]
    return tuple(h5r.get_name(each[0], file.id).decode().removeprefix("/") for each in references)


def _picked(dataset: Any, shape: tuple[int, ...], dimensions: tuple[str, ...], features: Sequence[int] | None) -> Any:
    if features is None or FEATURE not in dimensions:
        return dataset[()]
    axis = dimensions.index(FEATURE)
    before: tuple[slice, ...] = (slice(None),) * axis
    if len(features) == 1:
        return dataset[(*before, slice(features[0], features[0] + 1))]
    if len(features) * MANY > shape[axis]:
        return np.take(dataset[()], features, axis)
    wanted = sorted(set(features))
    return np.take(dataset[(*before, wanted)], np.searchsorted(wanted, features), axis)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as a table ({error}); delete it and run again")
