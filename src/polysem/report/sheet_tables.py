"""The rows of a dictionary's tables that its sheets show, from the tables themselves or from the index of features."""

from dataclasses import dataclass
from pathlib import Path

from polysem.index.feature_index import FeatureIndex
from polysem.io.columns import Columns, read_columns

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
    frequency: Columns
    alignment: Columns
    examples: Columns
    diverse_examples: Columns
    associations: Columns
    geometry: Columns
    logits: Columns
    tags: Columns
    clusters: Columns


def read_rows(folder: Path, features: list[int]) -> SheetTables:
    """The tables in a folder, with the rows of some features; InputError if one cannot be read."""
    return SheetTables(features, **{name: read_columns(folder / f"{name}.nc", features) for name in NAMES})


def indexed_rows(index: FeatureIndex, feature: int) -> SheetTables:
    """The same of one feature, from the index of its dictionary. InputError for a feature that there is not, and for an
    index without one of the tables."""
    return SheetTables([feature], **index.rows(feature, NAMES))
