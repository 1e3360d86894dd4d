"""Notes on features: stars, labels and comments of people, in git; a file for each feature, author and training.

The files are JSON, which has one reading: a text stays the text that was written (YAML takes an author `No` for false
and `2026-11-26` for a date), nothing in it grows or runs, and an error has a line.
"""

import fcntl
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from polysem.io.atomic import write_text
from polysem.io.caches import FOLDER
from polysem.io.errors import InputError
from polysem.layout.json_sections import (
    ENDING,
    Name,
    Prose,
    json_files,
    read_section,
    sha256,
    storable,
    validated,
    written_text,
)
from polysem.layout.place import LABELS, Place
from polysem.params.base import Section

LARGEST_FILE = 1_000_000
"""Bytes."""
SLUG = 32
"""Characters of an author's name that a file name keeps."""


def iso_date(text: str) -> str:
    """The same; ValueError for what is no date."""
    try:
        same = date.fromisoformat(text).isoformat() == text
    except ValueError:
        same = False
    if not same:
        raise ValueError(f"{text[:40]!r} is no date; one looks as '2026-11-26'")
    return text


class Comment(Section):
    """What an author said of a feature, and on which day."""

    date: Annotated[StrictStr, AfterValidator(iso_date)]
    text: Annotated[StrictStr, Field(max_length=20_000), AfterValidator(written_text)]


class Note(Section):
    """What one author has to say of one feature of one training."""

    feature: Annotated[StrictInt, Field(ge=0, le=1_073_741_823)]
    """Its number, counted from 0."""
    author: Name
    weights: Annotated[StrictStr, AfterValidator(sha256)]
    """sha256 of the weights that it is about: of an SAE's `sae_weights.safetensors`, of neurons the model's."""
    star: StrictBool = False
    label: Annotated[StrictStr, Field(max_length=1_000), AfterValidator(storable)] = ""
    """What the author calls the feature; '' for nothing."""
    note: Prose = ""
    """More about the label."""
    comments: Annotated[tuple[Comment, ...], Field(max_length=1_000)] = ()
    """In the order in which they were written."""

    @model_validator(mode="after")
    def _require_label(self) -> "Note":
        if self.note and not self.label:
            raise ValueError("there is a note, and no label that it is about; write it as a comment")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.star or self.label or self.comments)


def file_name(feature: int, author: str, weights: str) -> str:
    """`703-ada-lovelace-4b1c….json`: the letters of the author that every file system has, then a digest of the whole
    name and the weights. It is short and has no capital letters, and no two authors share one."""
    letters = unicodedata.normalize("NFKD", author).encode("ascii", "ignore").decode().lower()
    slug = re.sub("[^a-z0-9]+", "-", letters).strip("-")[:SLUG].strip("-")
    digest = hashlib.sha256(json.dumps([author, weights]).encode()).hexdigest()[:16]
    return "-".join(part for part in (str(feature), slug, digest) if part) + ENDING


def read_notes(place: Place, root: Path = Path()) -> list[Note]:
    """All notes on the features of a dictionary, whatever weights they are about, by feature, author and weights.

    `root` is the folder in which `labels/` lies. Raises InputError, naming file and line or key, for a file that is
    too large, no JSON, or no note, and for one that is not called as its content says, so that none is there twice.
    """
    notes = [_read(file) for file in note_files(place, root)]
    return sorted(notes, key=lambda note: (note.feature, note.author, note.weights))


def note_files(place: Place, root: Path = Path()) -> list[Path]:
    """The files of these notes, sorted."""
    return json_files(root / place.notes)


def write_note(
    place: Place,
    feature: int,
    author: str,
    weights: str,
    *,
    star: bool | None = None,
    label: str | None = None,
    note: str | None = None,
    comment: str | None = None,
    root: Path = Path(),
) -> Note | None:
    """Change what an author says of a feature: what is None stays as it is, a comment is added with today's date.

    An empty `label` or `note` takes it away, a label with its note; what says nothing more has no file. `weights` is
    what the author looked at (`polysem.layout.annotations.weights_of`); notes about others stay. Processes and threads
    that change notes at the same time wait for each other, so none is lost, and a file is whole whenever one is killed.
    Returns what stands there now. Raises InputError for what no note can hold, and for an existing file that is no
    note.
    """
    if label == "" and note:
        raise InputError("there is a note, and no label that it is about; write it as a comment")
    given = {"star": star, "label": label, "note": "" if label == "" else note}
    changed = {key: value for key, value in given.items() if value is not None}
    begun = validated(Note, {"feature": feature, "author": author, "weights": weights}, "the note")
    path = root / place.notes / file_name(begun.feature, begun.author, begun.weights)
    with _alone(root):
        _require_own_folder(place, root)
        there = _read(path) if path.is_file() else begun
        if (there.author, there.weights) != (begun.author, begun.weights):
            raise InputError(f"{path} holds a note of {there.author}; choose another name as author")
        comments = [one.values() for one in there.comments]
        if comment is not None:
            comments.append({"date": datetime.now(UTC).date().isoformat(), "text": comment})
        after = validated(Note, there.values() | changed | {"comments": comments}, "the note")
        if after.is_empty:
            path.unlink(missing_ok=True)
            return None
        text = json.dumps(after.values(), indent=2, ensure_ascii=False) + "\n"
        if (size := len(text.encode())) > LARGEST_FILE:
            raise InputError(f"{path} would have {size:,} bytes; a note has at most {LARGEST_FILE:,}")
        write_text(path, text)
    return after


def _read(file: Path) -> Note:
    note = read_section(file, Note, "note", _EXPECTED, LARGEST_FILE)
    if (name := file_name(note.feature, note.author, note.weights)) != file.name:
        raise InputError(f"{file} has to be called {name}, by its feature, author and weights; rename it")
    return note


_EXPECTED = "a note is a JSON object with feature, author and weights, and star, label, note or comments"


def _require_own_folder(place: Place, root: Path) -> None:
    """InputError if a link leads out of the folder of labels: a branch of somebody else may bring one."""
    labels = root / LABELS
    if (root / place.notes).resolve() != labels.resolve().joinpath(*place.names):
        raise InputError(f"a link leads from {place.notes} to another folder; put the folder itself there")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """While the block runs, no other process or thread changes notes of this repository."""
    lock = root / FOLDER / "notes.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
