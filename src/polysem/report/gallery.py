"""The figures of a run, and those that a dictionary or a site cannot have, with the reason."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.io.folders import damage, read_folder_receipt, receipt_of
from polysem.params.base import TOGETHER
from polysem.report.catalogue import ids_in, natural

VIEW_BOX = re.compile(r'<svg[^>]*\bviewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"')
HEADER_BYTES = 4096


@dataclass(frozen=True, order=True)
class Origin:
    """Whose figure it is; `dictionary` is `TOGETHER` where those of a site stand together."""

    model: str
    site: str
    dictionary: str

    @property
    def path(self) -> str:
        """`model/site/dictionary`, as the folders below `results/` are called."""
        return f"{self.model}/{self.site}/{self.dictionary}"

    @property
    def words(self) -> str:
        """The path, or whose figures stand together."""
        return f"{self.model}/{self.site}, all dictionaries" if self.together else self.path

    @property
    def together(self) -> bool:
        """Whether all dictionaries of a site are meant."""
        return self.dictionary == TOGETHER


@dataclass(frozen=True)
class Shown:
    """One figure of one dictionary or site: drawn (`source` and `size`), or not applicable (`reason`)."""

    name: str
    origin: Origin
    source: Path
    size: tuple[int, int] = (0, 0)
    reason: str = ""

    @property
    def relative(self) -> str:
        """Below the folder of figures."""
        return f"{self.origin.path}/{self.name}.svg"


@dataclass(frozen=True)
class Picture:
    """A figure of the catalogue: what it is called, what it is drawn from, and all that was made of it."""

    name: str
    catalogue: tuple[str, ...]
    title: str
    tables: tuple[str, ...]
    shown: dict[Origin, Shown] = field(default_factory=dict)

    @property
    def drawn(self) -> list[Shown]:
        """Those that there are."""
        return [one for one in self.shown.values() if not one.reason]

    @property
    def of_sites(self) -> bool:
        """Whether it shows all dictionaries of a site."""
        return any(origin.together for origin in self.shown)


def read_gallery(figures: Path, folders: list[str]) -> dict[str, Picture]:
    """All figures by name, in the order of the catalogue.

    `folders` are paths `{model}/{site}/{dictionary}` below `figures`, `together` in place of the dictionary where
    figures show all of a site; each has its receipt beside it. Other folders are ignored.
    Raises InputError for a receipt or figure that is missing, broken, or not the one that its receipt names.
    """
    pictures: dict[str, Picture] = {}
    for relative in folders:
        origin, folder = read_origin(relative), figures / relative
        for name, said in _drawn(folder).items():
            pictures.setdefault(name, Picture(name, said.catalogue, said.title, said.reads))
            source = folder / f"{name}.svg"
            size = (0, 0) if said.reason else _size(source)
            pictures[name].shown[origin] = Shown(name, origin, source, size, said.reason)
    return {one.name: one for one in sorted(pictures.values(), key=lambda one: (natural(one.catalogue[0]), one.name))}


def read_origin(relative: str) -> Origin:
    """Model, site and dictionary of a path; InputError if it is none."""
    parts = relative.split("/")
    if len(parts) != 3 or {"", ".", ".."} & set(parts):
        raise InputError(f"{relative!r} is no dictionary; expected model/site/dictionary")
    return Origin(*parts)


def all_shown(pictures: dict[str, Picture]) -> Iterator[Shown]:
    """Every figure that was drawn."""
    for picture in pictures.values():
        yield from picture.drawn


@dataclass(frozen=True)
class _Said:
    """What a receipt says of a figure."""

    catalogue: tuple[str, ...]
    title: str
    reads: tuple[str, ...]
    reason: str


def _drawn(folder: Path) -> dict[str, _Said]:
    """What a receipt says of each figure; InputError if they are not all there as they were drawn."""
    again = f"draw it again: snakemake --cores all --force {shlex.quote(folder.as_posix())}"
    receipt = read_folder_receipt(folder)
    try:
        figures = {str(name): _said(said) for name, said in receipt["artifacts"].items()}
        digests = {f"{name}.svg": receipt["artifacts"][name]["sha256"] for name in figures if not figures[name].reason}
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(f"{receipt_of(folder)} is no receipt of figures ({error!r}); {again}") from error
    if problem := damage(folder, digests):
        raise InputError(f"{folder}: {problem}; {again}")
    return figures


def _said(said: dict[str, Any]) -> _Said:
    catalogue = tuple(ids_in(said["catalogue"]))
    if not catalogue:
        raise ValueError("a figure without an id of the catalogue")
    return _Said(catalogue, str(said["title"]), tuple(map(str, said["reads"])), str(said.get("not_applicable", "")))


def _size(path: Path) -> tuple[int, int]:
    """Width and height in points, so that a page keeps its place while figures load; (0, 0) if the file tells none."""
    with path.open("rb") as file:
        found = VIEW_BOX.search(file.read(HEADER_BYTES).decode("utf-8", errors="replace"))
    return (round(float(found[1])), round(float(found[2]))) if found else (0, 0)
