"""The rows of a dictionary's tables that its sheets show."""

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from polysem.io.tables import read_table

NAMES = (
    "frequency",
    "alignment",
    "examples",
    "diverse_examples",
    "associations",
    "geometry",
    "logits",
    "tags",
    "clusters",
)


@dataclass(frozen=True)
class SheetTables:
    """Tables of one dictionary; those with a dimension `feature` hold rows of the chosen features only, in the order of
    `features`."""

    features: list[int]
    frequency: xr.Dataset
    alignment: xr.Dataset
    examples: xr.Dataset
    diverse_examples: xr.Dataset
    associations: xr.Dataset
    geometry: xr.Dataset
    logits: xr.Dataset
    tags: xr.Dataset
    clusters: xr.Dataset


def read_rows(folder: Path, features: list[int]) -> SheetTables:
    """The tables in a folder, with the rows of some features; InputError if one cannot be read."""
    tables = {name: read_table(folder / f"{name}.nc", features=features) for name in NAMES}
    return SheetTables(features, **tables)
