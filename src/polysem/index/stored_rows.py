"""How the rows of a dictionary's tables lie in the index: a header in JSON and one file of arrays.

The file holds every variable of every table without compression, one after the other, so that a feature's values are
found by multiplication and no more than these are read. What has a dimension `feature` has it first; texts are numbers
of the words that the header lists. The file begins with the sha256 of its header, in 64 hex digits, so that the two are
known to belong together.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from polysem.io.columns import FEATURE, TableFile, table_file
from polysem.io.errors import InputError

HEADER, ARRAYS = "header.json", "arrays.bin"
FILES = (HEADER, ARRAYS)
FORMAT = 1
STAMP = 64
"""Bytes of the stamp."""
ALIGNMENT = 64
AGAIN = "`snakemake --cores all` makes it again"


class OtherVersionError(InputError):
    """An index in the form of another version."""


@dataclass(frozen=True)
class Variable:
    """One variable of a table, and where its values lie."""

    dimensions: tuple[str, ...]
    """In the order of the table."""
    dtype: str
    """Of what lies there; for texts of the numbers that stand for them."""
    shape: tuple[int, ...]
    """As it lies there: along `feature` first."""
    offset: int
    """Bytes before it."""
    texts: tuple[str, ...] | None = None
    """What the numbers stand for; None of a variable that holds no texts."""

    @property
    def axis(self) -> int | None:
        """Which of its dimensions is that of features; None if none is."""
        return self.dimensions.index(FEATURE) if FEATURE in self.dimensions else None

    @property
    def end(self) -> int:
        """Where it ends in the file."""
        return self.offset + prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class StoredTable:
    """A table of the index."""

    sha256: str
    """Of the file that it was read from."""
    attributes: Mapping[str, Any]
    variables: Mapping[str, Variable]


@dataclass(frozen=True)
class Header:
    """What lies in the index of a dictionary."""

    features: int
    size: int
    """Bytes of the file of arrays."""
    tables: Mapping[str, StoredTable]
    stamp: bytes = b""
    """How the file of arrays begins."""


def write_rows(folder: Path, tables: Path, digests: Mapping[str, str]) -> None:
    """Write the two files of a dictionary into a folder that is there.

    `tables` is the folder of its tables, `digests` the sha256 of each by name. InputError for a table that cannot be
    read, or that has another number of features than the others.
    """
    found: dict[str, StoredTable] = {}
    features = 0
    with (folder / ARRAYS).open("wb") as file:
        file.write(b"\0" * STAMP)
        for name, digest in digests.items():
            with table_file(tables / f"{name}.nc") as table:
                if len(table) and features and len(table) != features:
                    raise InputError(
                        f"{tables / name}.nc has rows of {len(table)} features, other tables beside it of {features}; "
                        f"delete {tables} and run again"
                    )
                features = features or len(table)
                found[name] = StoredTable(digest, table.attributes, dict(_written(table, file)))
        size = file.tell()
        tables_said = {name: asdict(table) for name, table in found.items()}
        said = json.dumps({"format": FORMAT, "features": features, "size": size, "tables": tables_said}).encode()
        file.seek(0)
        file.write(stamp(said))
    (folder / HEADER).write_bytes(said)


def stamp(header: bytes) -> bytes:
    """How the file of arrays begins that a header is of."""
    return hashlib.sha256(header).hexdigest().encode()


def read_header(folder: Path) -> Header:
    """What the index of a dictionary holds. InputError for one that is missing, cut off or of another version."""
    path, arrays = folder / HEADER, folder / ARRAYS
    if not path.is_file() or not arrays.is_file():
        raise InputError(f"{folder} holds no index of features, which is {HEADER} and {ARRAYS}; {AGAIN}")
    text = path.read_bytes()
    try:
        said = json.loads(text)
        form = said.get("format")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); delete {folder} and its receipt, and {AGAIN}") from error
    if form != FORMAT:
        raise OtherVersionError(f"{path} has format {form!r}, expected {FORMAT}: another version wrote it; {AGAIN}")
    try:
        tables = {name: _table(each) for name, each in said["tables"].items()}
        header = Header(said["features"], said["size"], tables, stamp(text))
        ends = [variable.end for table in tables.values() for variable in table.variables.values()]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error!r}); delete {folder} and its receipt, and {AGAIN}") from error
    size = arrays.stat().st_size
    if size != header.size or max(ends, default=0) > size:
        raise InputError(
            f"{arrays} has {size:,} bytes, and its header says {header.size:,}; delete {folder} and its receipt, and "
            f"{AGAIN}"
        )
    return header


def _written(table: TableFile, file: BinaryIO) -> Iterator[tuple[str, Variable]]:
    for name, dimensions in table.dimensions.items():
        values, texts = table.read(name), None
        if values.dtype == object:
            values, texts = _numbered(values)
        if FEATURE in dimensions:
            values = np.moveaxis(values, dimensions.index(FEATURE), 0)
        file.write(b"\0" * (-file.tell() % ALIGNMENT))
        variable = Variable(dimensions, values.dtype.str, values.shape, file.tell(), texts)
        file.write(np.ascontiguousarray(values).tobytes())
        yield name, variable


def _numbered(values: NDArray[Any]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Texts as numbers of the sorted texts that there are."""
    flat = values.ravel().tolist()
    texts = tuple(sorted(set(flat)))
    number = {text: place for place, text in enumerate(texts)}
    return np.array([number[text] for text in flat], np.int32).reshape(values.shape), texts


def _table(said: Mapping[str, Any]) -> StoredTable:
    variables = {
        name: Variable(
            tuple(one["dimensions"]),
            one["dtype"],
            tuple(one["shape"]),
            one["offset"],
            None if one["texts"] is None else tuple(one["texts"]),
        )
        for name, one in said["variables"].items()
    }
    return StoredTable(said["sha256"], said["attributes"], variables)
