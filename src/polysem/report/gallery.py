"""The figures of a run, and those that a dictionary, a site or a model cannot have, with the reason."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.io.folders import damage, read_folder_receipt, receipt_of
from polysem.layout.place import Place
from polysem.params.base import ALL_DICTIONARIES, TOGETHER
from polysem.report.catalogue import ids_in, natural

VIEW_BOX = re.compile(r'<svg[^>]*\bviewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"')
HEADER_BYTES = 4096


def in_words(place: Place) -> str:
    """Whose figures these are."""
    return place.path if place.dictionary else f"{place.path}, {ALL_DICTIONARIES}"


def folder_of(place: Place) -> str:
    """The folder of its figures below that of all figures."""
    return place.path if place.dictionary else f"{place.path}/{TOGETHER}"


@dataclass(frozen=True)
class Shown:
    """One figure of one dictionary, site or model: drawn (`source` and `size`), or not applicable (`reason`)."""

    name: str
    origin: Place
    source: Path
    size: tuple[int, int] = (0, 0)
    reason: str = ""

    @property
    def relative(self) -> str:
        """Below the folder of figures."""
        return f"{folder_of(self.origin)}/{self.name}.svg"


@dataclass(frozen=True)
class Picture:
    """A figure of the catalogue: what it is called, what it is drawn from, and all that was made of it."""

    name: str
    catalogue: tuple[str, ...]
    title: str
    tables: tuple[str, ...]
    shown: dict[Place, Shown] = field(default_factory=dict)

    @property
    def drawn(self) -> list[Shown]:
        """Those that there are."""
        return [one for one in self.shown.values() if not one.reason]

    @property
    def of(self) -> str:
        """What it is of, "dictionary", or "site" or "model" if it shows all dictionaries of one."""
        origin = next(iter(self.shown))
        return "dictionary" if origin.dictionary else "site" if origin.site else "model"


def read_gallery(places: Iterable[Place]) -> dict[str, Picture]:
    """All figures of dictionaries, sites and models by name, in the order of the catalogue.

    Raises InputError for a receipt or figure that is missing, broken, or not the one that its receipt names.
    """
    pictures: dict[str, Picture] = {}
    for origin in places:
        folder = Path(origin.figures.path)
        for name, said in _drawn(folder).items():
            pictures.setdefault(name, Picture(name, said.catalogue, said.title, said.reads))
            source = Path(origin.figure(name))
            size = (0, 0) if said.reason else _size(source)
            pictures[name].shown[origin] = Shown(name, origin, source, size, said.reason)
    return {one.name: one for one in sorted(pictures.values(), key=lambda one: (natural(one.catalogue[0]), one.name))}


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
