"""Whether what a dictionary shows was made from what lies there now: a run that has not come to its end leaves new SAEs
beside old tables, and old figures and sheets beside new tables.

Receipts say it by digests of small files, so nothing large is read. Where a receipt of an older version says nothing,
the recipe in the SAE's `cfg.json` is held against the params that the run recorded at its end.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.folders import artifact_digest, receipt_of
from polysem.layout.place import Place
from polysem.models.record import WEIGHTS
from polysem.params.base import NEURONS
from polysem.study.recorded import Recorded
from polysem.study.results import Results

CONFIG, ACTIVATIONS = "cfg.json", "eval.json"
MADE_FROM = "made_from"
RUN = "run `snakemake --cores all`"


class MadeFrom:
    """What a dictionary was made from, against what there is. Every question looks at the files again, if their dates
    have changed."""

    def __init__(self, results: Results, recorded: Recorded, place: Place) -> None:
        self._results, self._recorded, self._place = results, recorded, place
        self._known: dict[str, tuple[object, str]] = {}

    @property
    def recipe(self) -> str:
        """What speaks against the recorded recipe of the SAE, as a sentence, or ''."""
        return self._once("recipe", self._about_recipe, self._config)

    @property
    def tables(self) -> str:
        """What speaks against the tables, as a sentence, or ''."""
        files = (self._config, self._activations, self._model, self._place.tables_receipt)
        return self._once("tables", self._about_tables, *files)

    def by_tables(self, receipt: str, what: str) -> str:
        """What speaks against figures or sheets that were made from the tables, as a sentence, or ''."""
        return self.tables or self._once(
            what, lambda: self._about_what_follows(receipt, what), receipt, self._place.tables_receipt, self._config
        )

    @property
    def _config(self) -> str:
        return self._place.sae.file(CONFIG)

    @property
    def _activations(self) -> str:
        return self._place.activations("eval").receipt

    @property
    def _model(self) -> str:
        return self._place.record

    def _about_recipe(self) -> str:
        recorded = self._recorded.recipe(self._place.dictionary)
        config = _object(Path(self._config))
        metadata = config.get("metadata")
        trained = metadata.get("recipe") if isinstance(metadata, dict) else None
        if not isinstance(trained, dict):
            return ""
        for key, value in recorded.items():
            if key in trained and trained[key] != value:
                return (
                    f"{self._place.path} was trained with {key}: {trained[key]!r}, and the params that the run "
                    f"recorded say {value!r}; {RUN}, which records them at its end"
                )
        return ""

    def _about_tables(self) -> str:
        said = _object(Path(self._place.tables_receipt)).get(MADE_FROM)
        said = said if isinstance(said, dict) else {}
        if self._place.dictionary != NEURONS and CONFIG not in said:
            return self.recipe
        weights = _object(Path(self._model)).get("files")
        now = {
            "another SAE": (CONFIG, digest_now(self._config)),
            "another model": (WEIGHTS, weights.get(WEIGHTS) if isinstance(weights, dict) else None),
            "other activations": (ACTIVATIONS, digest_now(self._activations)),
        }
        for other, (name, digest) in now.items():
            if name in said and digest not in (None, said[name]):
                is_now = "are" if other.endswith("s") else "is"
                return f"the tables of {self._place.path} were made of {other} than there {is_now} now; {RUN}"
        return ""

    def _about_what_follows(self, receipt: str, what: str) -> str:
        said = _object(Path(receipt)).get(MADE_FROM)
        tables = Path(self._place.tables_receipt)
        if not isinstance(said, dict) or "tables" not in said:
            return self.recipe
        if not tables.is_file() or file_digest(tables) == said["tables"]:
            return ""
        return f"the {what} of {self._place.path} were made of other tables than there are now; {RUN}"

    def _once(self, key: str, find: Callable[[], str], *files: str) -> str:
        """A sentence, found once while the files keep their dates. What is not there now says nothing: results of a
        revision are those of one run, and come as they are asked for."""
        if not self._results.can_mix:
            return ""
        dates = tuple(date_of(file) for file in files)
        known = self._known.get(key)
        if known is None or known[0] != dates:
            known = self._known[key] = (dates, find())
        return known[1]


def about_table(results: Results, place: Place, name: str) -> str:
    """What speaks against a table of a site or a model, as a sentence, or '': its receipt names the digests of what it
    was made from, by their paths in the results folder."""
    said = _object(Path(place.table_receipt(name))).get(MADE_FROM)
    if not results.can_mix or not isinstance(said, dict):
        return ""
    for file, digest in said.items():
        if digest_now(f"{results.root}/{file}") not in (None, digest):
            return f"the table {name!r} of {place.path} was made of another {file} than there is now; {RUN}"
    return ""


def digest_now(path: str) -> str | None:
    """The sha256 of a small file, or of a table by its receipt; None if there is none, or it tells none."""
    file = Path(path)
    try:
        if file.suffix != ".nc":
            return file_digest(file)
        own = file.with_name(f"{file.name}.json")
        return artifact_digest(own if own.is_file() else receipt_of(file.parent), file.stem)
    except (OSError, InputError):
        return None


def require(sentence: str) -> None:
    """InputError with the sentence, if there is one."""
    if sentence:
        raise InputError(sentence)


def date_of(file: str) -> tuple[int, int] | None:
    """Date and size of a file; None if it is not there."""
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _object(file: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing if it is not there or is none: whoever needs it says so."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
