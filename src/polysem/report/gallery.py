"""The figures of a run, by document, catalogue id and dictionary."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from polysem.figures.registry import find_figure
from polysem.io.errors import InputError
from polysem.io.folders import damage, read_folder_receipt
from polysem.params.base import ALL_DICTIONARIES, TOGETHER
from polysem.report.captions import caption_html

DOCUMENTS = {
    "S0": "How polysemantic can one neuron be?",
    "S1": "Reading club on Towards Monosemanticity",
    "S2": "SAE replication on gelu-1l",
    "S3": "Neuron embeddings",
    "S4": "Directions of GPT-2 small in an explorer",
}
VIEW_BOX = re.compile(r'<svg[^>]*\bviewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"')
HEADER_BYTES = 4096


class Origin(NamedTuple):
    """Whose figure it is; `dictionary` is `ALL_DICTIONARIES` where they stand together."""

    model: str
    site: str
    dictionary: str


@dataclass(frozen=True)
class Shown:
    """One figure of one dictionary: where it was made, where the page finds it, how to make it again."""

    origin: Origin
    relative: str
    source: Path
    size: tuple[int, int] | None

    @property
    def address(self) -> str:
        """Relative to the page, quoted for HTML."""
        return quote(f"figures/{self.relative}")

    @property
    def command(self) -> str:
        """What to type to draw this figure and those beside it again, and nothing else."""
        return f"snakemake --cores all --force {shlex.quote(self.source.parent.as_posix())}"


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue with its figures, one per dictionary."""

    catalogue: str
    title: str
    caption: str
    figures: list[Shown] = field(default_factory=list)


@dataclass(frozen=True)
class Chapter:
    """A document."""

    document: str
    title: str
    entries: list[Entry]


def read_gallery(figures: Path, captions: Path, folders: list[str]) -> list[Chapter]:
    """Chapters in the order of the documents, entries in that of the catalogue, figures in that of `folders`.

    `folders` are paths `{model}/{site}/{dictionary}` below `figures`, `together` in place of the dictionary where
    figures show all of a site; others are ignored.
    Raises InputError, naming them, for figures that are missing or not what was drawn.
    """
    entries: dict[str, Entry] = {}
    for relative in (f"{folder}/{name}.svg" for folder in folders for name in _drawn(figures / folder)):
        origin, name = _parsed(relative)
        if name not in entries:
            module = find_figure(name)
            entries[name] = Entry(module.CATALOGUE, module.TITLE, caption_html(captions / f"{name}.rst"))
        source = figures / relative
        entries[name].figures.append(Shown(origin, relative, source, _size(source)))
    ordered = sorted(entries.values(), key=lambda entry: _natural(entry.catalogue))
    documents = dict.fromkeys(entry.catalogue.split(".")[0] for entry in ordered)
    return [
        Chapter(name, DOCUMENTS.get(name, name), [entry for entry in ordered if entry.catalogue.split(".")[0] == name])
        for name in documents
    ]


def dictionaries_by_site(chapters: list[Chapter]) -> dict[str, list[Origin]]:
    """All dictionaries with a figure of their own under "model / site", in the order of their figures."""
    sites: dict[str, list[Origin]] = {}
    figures = (shown for chapter in chapters for entry in chapter.entries for shown in entry.figures)
    for origin in dict.fromkeys(shown.origin for shown in figures):
        if origin.dictionary != ALL_DICTIONARIES:
            sites.setdefault(f"{origin.model} / {origin.site}", []).append(origin)
    return sites


def _drawn(folder: Path) -> list[str]:
    """Names of the figures in a folder, by its receipt; InputError if they are not all there as they were drawn."""
    receipt = read_folder_receipt(folder)
    digests = {f"{name}.svg": said["sha256"] for name, said in receipt["figures"].items() if "sha256" in said}
    if problem := damage(folder, digests):
        raise InputError(
            f"{folder}: {problem}; draw it again: snakemake --cores all --force {shlex.quote(str(folder))}"
        )
    return [name.removesuffix(".svg") for name in digests]


def _parsed(relative: str) -> tuple[Origin, str]:
    parts = relative.split("/")
    if len(parts) != 4 or not relative.endswith(".svg") or {"", ".", ".."} & set(parts):
        raise InputError(f"{relative!r} is no figure; expected model/site/dictionary/figure.svg")
    model, site, dictionary = parts[:3]
    shown = ALL_DICTIONARIES if dictionary == TOGETHER else dictionary
    return Origin(model, site, shown), parts[-1].removesuffix(".svg")


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height in points, so that the page keeps its place while figures load."""
    with path.open("rb") as file:
        found = VIEW_BOX.search(file.read(HEADER_BYTES).decode("utf-8", errors="replace"))
    return (round(float(found[1])), round(float(found[2]))) if found else None


def _natural(catalogue: str) -> list[tuple[int, str]]:
    return [(int(digits or -1), letters) for digits, letters in re.findall(r"(\d+)|(\D+)", catalogue)]
