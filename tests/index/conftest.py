from pathlib import Path

import pytest

from polysem.index.stored_rows import write_rows
from polysem.io.folders import artifact_digests
from polysem.layout.place import Place

from .tables_case import SITE, tables, write_tables


@pytest.fixture
def place(tmp_path) -> Place:
    """A dictionary with tables."""
    place = Place("m", SITE, "l1=3e-4", root=str(tmp_path / "results"))
    write_tables(place, tables())
    return place


@pytest.fixture
def folder(place) -> Path:
    """The rows of its features."""
    folder = Path(place.feature_index)
    folder.mkdir(parents=True)
    write_rows(folder, Path(place.tables), artifact_digests(Path(place.tables_receipt)))
    return folder
