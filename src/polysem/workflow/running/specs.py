"""What a step is told where that is too long for a command line: files named by their content.

The workflow writes them while it builds the DAG, below `.cache`, which anybody may delete. A step that is done keeps
those it was told by beside the records of Snakemake, which name them, and which DVC keeps.
"""

from collections.abc import Iterable
from pathlib import Path

from polysem.io.caches import FOLDER, place_text

SPECS = FOLDER / "specs"
KEPT = "specs"
"""A folder among the records, which is not Snakemake's."""


def keep_specs(arguments: Iterable[str], records: Path = Path(".snakemake/metadata")) -> None:
    """Keep the specs that the command line of a step names."""
    for file in map(Path, arguments):
        if file.parent == SPECS and not (kept := records / KEPT / file.name).exists():
            place_text(kept, file.read_text(encoding="utf-8"))


def kept_spec(path: str, records: Path) -> Path | None:
    """Where the spec that a record names lies by now; None if it is gone, as that of a version before they were kept
    may be."""
    places = (records / KEPT / Path(path).name, Path(path))
    return next((place for place in places if place.is_file()), None)
