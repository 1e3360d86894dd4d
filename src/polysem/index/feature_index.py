"""Reading the index of one dictionary."""

import mmap
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polysem.index.stored_rows import AGAIN, ARRAYS, STAMP, Header, Variable, read_header
from polysem.io.columns import Columns
from polysem.io.errors import InputError
from polysem.io.folders import artifact_digests
from polysem.params.explain import nearest


class FeatureIndex:
    """The tables of one dictionary, mapped: opening it reads its header, and a row or a column no more than itself.

    Arrays are views of the mapped file and cannot be written to. They outlive the index, and a run that renews the
    index leaves them what they were.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is `Place.feature_index`. InputError for an index that is missing, cut off or of another version."""
        self.folder = folder
        self._header: Header = read_header(folder)
        self._constant: dict[str, dict[str, NDArray[Any]]] = {}

    @property
    def features(self) -> int:
        """How many features the dictionary has."""
        return self._header.features

    @property
    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._header.tables)

    def is_of(self, receipt: Path) -> bool:
        """Whether it was made of the tables that a receipt names (`Place.tables_receipt`), by their digests. InputError
        if there is no such receipt."""
        return artifact_digests(receipt) == {name: table.sha256 for name, table in self._header.tables.items()}

    def variables(self, table: str) -> Mapping[str, Variable]:
        """The variables of a table: their dimensions, among others. InputError for a table that there is not."""
        if table not in self._header.tables:
            raise InputError(
                f"{self.folder} has no table {table!r}{nearest(table, self.tables)}; there are: "
                f"{', '.join(self.tables)}. If this version measures it, {AGAIN}"
            )
        return self._header.tables[table].variables

    def attributes(self, table: str) -> Mapping[str, Any]:
        """The attributes of a table, as plain values. InputError for a table that there is not."""
        self.variables(table)
        return self._header.tables[table].attributes

    def column(self, table: str, variable: str) -> NDArray[Any]:
        """A variable of all features, mapped: [feature, …], whatever the order of its dimensions in the table; one that
        is not about single features as it is there.

        Texts are looked up, all at once. InputError for a table or variable that there is not.
        """
        known = self.variables(table)
        if variable not in known:
            raise InputError(
                f"the table {table!r} in {self.folder} has no variable {variable!r}{nearest(variable, list(known))}; "
                f"if this version measures it, {AGAIN}"
            )
        return self._values(known[variable])

    def rows(self, feature: int, tables: Iterable[str] | None = None) -> dict[str, Columns]:
        """The row of one feature in some tables, or in all, by their names: what `io.columns.read_columns` gives for
        it, dimensions in the order of the table, along `feature` of length 1; what is not about single features whole.

        InputError for a feature or a table that there is not.
        """
        if not 0 <= feature < self.features:
            raise InputError(f"{self.folder} has no feature {feature}; it has 0 … {self.features - 1}")
        return {name: self._rows(name, feature) for name in (self.tables if tables is None else tables)}

    def _rows(self, table: str, feature: int) -> Columns:
        found, constant = {}, self._constant.setdefault(table, {})
        for name, variable in self.variables(table).items():
            if variable.axis is not None:
                row = self._values(variable, feature)
                found[name] = np.moveaxis(row, 0, variable.axis) if variable.axis else row
            else:
                if name not in constant:
                    constant[name] = self._values(variable)
                found[name] = constant[name]
        return Columns(found, self.attributes(table))

    def _values(self, variable: Variable, feature: int | None = None) -> NDArray[Any]:
        values: NDArray[Any] = np.ndarray(variable.shape, variable.dtype, self._map, variable.offset)
        if feature is not None:
            values = values[feature : feature + 1]
        if variable.texts is None:
            return values
        return np.array(variable.texts, dtype=object)[values]

    @cached_property
    def _map(self) -> mmap.mmap:
        """The file of arrays. Mapped when something is first read: a study may have more dictionaries than a process
        may have open files."""
        try:
            with (self.folder / ARRAYS).open("rb") as file:
                found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.folder / ARRAYS} cannot be read ({error}); {AGAIN}") from error
        if len(found) != self._header.size or found[:STAMP] != self._header.stamp:
            raise InputError(f"{self.folder} was made again since it was opened; open it again")
        return found
