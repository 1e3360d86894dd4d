"""Where results are read from: a folder as it lies there, or a revision in git and DVC's cache."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from polysem.io.errors import InputError
from polysem.io.revisions import Cached, Revision
from polysem.layout.annotations import Annotations, read_annotations
from polysem.layout.place import RESULTS, Place

METRICS = "metrics.json"
CLAIMS = "claims.json"
PARAMS = "report/pages/params.json"
"""Within a results folder: the params of the run, which the report keeps."""


class NotAtHandError(InputError):
    """Something of the results is not at hand; the message says how to get it."""


class Results(ABC):
    """Files of one run. Paths are those that a `Place` with this `root` names; `bring` puts there what they name."""

    name: str
    """What a user calls these results."""
    root: str
    can_mix: bool = True
    """Whether a run that has not come to its end can have left what is of several runs."""

    def place(self, model: str, site: str = "", dictionary: str = "") -> Place:
        """A place of these results."""
        return Place(model, site, dictionary, self.root)

    def parts(self, path: str | Path) -> str:
        """A path from the results folder on."""
        return Path(path).relative_to(self.root).as_posix()

    @abstractmethod
    def bring(self, path: str | Path) -> Path:
        """A file or folder of the results, once it is at hand; NotAtHandError, with the remedy, if it cannot be."""

    @abstractmethod
    def names(self, folder: str | Path) -> list[str]:
        """Names of files and folders in a folder of the results, sorted; none if there is no such folder.
        NotAtHandError, with the remedy, if that cannot be known here."""

    @abstractmethod
    def annotations(self, place: Place) -> Annotations:
        """What people said of the features of a dictionary. InputError for files that cannot be read."""

    @abstractmethod
    def text(self, name: str) -> str | None:
        """A file that lives in git, `metrics.json`, as text; None if there is none."""

    @abstractmethod
    def params(self) -> tuple[dict[str, Any] | None, str]:
        """The params of the run as plain values, or None; and, as a sentence, where they are from or why there are
        none."""

    def has(self, path: str | Path) -> bool:
        """Whether the results have a file or folder, at hand or not."""
        place = Path(path)
        return place.name in self.names(place.parent)

    def json(self, name: str) -> Any:
        """What a file that lives in git holds; NotAtHandError if there is none, InputError if it is no JSON."""
        text = self.text(name)
        if text is None:
            raise NotAtHandError(f"{self.name} has no {name}; `snakemake --cores all` writes it")
        try:
            return json.loads(text)
        except ValueError as error:
            raise InputError(f"{name} of {self.name} is no JSON ({error}); run `snakemake --cores all` again") from None


class FolderResults(Results):
    """A results folder as it lies there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.root = name, str(folder)

    def bring(self, path: str | Path) -> Path:
        """See `Results.bring`."""
        if not Path(path).exists():
            raise NotAtHandError(
                f"{path} is not there; `snakemake --cores all` makes it, if params.yaml still asks for it"
            )
        return Path(path)

    def names(self, folder: str | Path) -> list[str]:
        """See `Results.names`; hidden files and what a killed run left are no part of the results."""
        if not Path(folder).is_dir():
            return []
        found = sorted(file.name for file in Path(folder).iterdir())
        return [name for name in found if not name.startswith(".") and not name.endswith(".partial")]

    def annotations(self, place: Place) -> Annotations:
        """See `Results.annotations`; the files lie beside the results folder, in the repository."""
        return read_annotations(place, Path(self.root).parent)

    def text(self, name: str) -> str | None:
        """See `Results.text`."""
        file = Path(self.root) / name
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def params(self) -> tuple[dict[str, Any] | None, str]:
        """See `Results.params`."""
        text = self.text(PARAMS)
        if text is None:
            return None, f"{self.name} holds no {PARAMS}, which a whole run writes, so its params are not known"
        return _object(text, f"{self.name}/{PARAMS}"), f"as {self.name}/{PARAMS} has them"


KEPT: list[TemporaryDirectory[str]] = []
"""Folders of links, which go when Python ends. Lazy arrays outlive the study that they are from, and Zarr reads a chunk
whose file is gone as zeros."""


class RevisionResults(Results):
    """The results of a revision: what git has of it, and links into DVC's cache in a temporary folder."""

    can_mix = False

    def __init__(self, revision: Revision) -> None:
        self.name = revision.name
        self._revision = revision
        KEPT.append(TemporaryDirectory(prefix="polysem-"))
        self._folder = Path(KEPT[-1].name)
        self.root = str(self._folder / RESULTS)
        self._cached: dict[str, Cached] = {}

    def bring(self, path: str | Path) -> Path:
        """See `Results.bring`."""
        wanted, name = Path(path), self.parts(path)
        output, _, below = name.partition("/")
        cached = self._of(output)
        files = {file: at for file, at in cached.files.items() if file == below or file.startswith(f"{below}/")}
        if not files:
            raise NotAtHandError(cached.note or f"{self.name} has no {RESULTS}/{name}; it was not made in that run")
        if any(at is None for at in files.values()):
            raise NotAtHandError(f"{RESULTS}/{name}: {cached.note}")
        for file, at in files.items():
            link = Path(self.root) / output / file
            if at is not None and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(at.resolve())
        return wanted

    def names(self, folder: str | Path) -> list[str]:
        """See `Results.names`; those of DVC's listing, whether or not the files are in the cache."""
        output, _, below = self.parts(folder).partition("/")
        start = f"{below}/" if below else ""
        cached = self._of(output)
        if not cached.files:
            raise NotAtHandError(cached.note)
        files = [file.removeprefix(start) for file in cached.files if file.startswith(start)]
        return sorted({name for file in files if not (name := file.partition("/")[0]).startswith(".")})

    def annotations(self, place: Place) -> Annotations:
        """See `Results.annotations`; as git has the files at the revision."""
        for name in [place.labels, *self._revision.names(place.notes)]:
            text = self._revision.text(name)
            if text is not None:
                path = self._folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="")
        return read_annotations(place, self._folder)

    def text(self, name: str) -> str | None:
        """See `Results.text`."""
        return self._revision.text(f"{RESULTS}/{name}")

    def params(self) -> tuple[dict[str, Any] | None, str]:
        """See `Results.params`; those of `params.yaml` at the revision."""
        from polysem.params.study import load_study

        text = self._revision.text("params.yaml")
        if text is None:
            return None, f"{self.name} has no params.yaml in git, so its params are not known"
        with TemporaryDirectory() as folder:
            path = Path(folder) / "params.yaml"
            path.write_text(text, encoding="utf-8")
            try:
                return load_study(path).values(), f"as params.yaml of {self.name} has them"
            except InputError as error:
                return None, f"params.yaml of {self.name} does not fit this version of polysem: {error}"

    def _of(self, output: str) -> Cached:
        if output not in self._cached:
            self._cached[output] = self._revision.cached(f"{RESULTS}/{output}")
        return self._cached[output]


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is no JSON ({error}); run `snakemake --cores all` again") from None
    if not isinstance(found, dict):
        raise InputError(f"{name} holds a JSON {type(found).__name__}, expected an object; run snakemake again")
    return found
