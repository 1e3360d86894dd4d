"""Stores that are being written: which of their shards are whole, noted beside them, so that whoever makes the same
store after the end of a job goes on behind them."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polysem.io.content import file_digest

NOTES = ".begun.jsonl"
"""The file of notes: what determines the store, and a line for each shard that is whole. Hidden, as it is no part of
the store."""


@dataclass(frozen=True)
class Note:
    """The files of one shard of all arrays, and what its writer has to know to go on behind it."""

    files: dict[str, tuple[int, int, str]]
    """By path: size, date of the last change in nanoseconds, and sha256."""
    said: dict[str, int]

    def is_whole(self, folder: Path) -> bool:
        """Whether the files are what was written: by size and date, and by content where the date is another."""
        return all(_is_same(folder / path, *file) for path, file in self.files.items())


class Begun:
    """What an ended job left of a store in a folder, and what is noted of it from now on.

    `notes` are those of the shards that are whole, from the first on; everything else is removed from the folder.
    """

    def __init__(self, folder: Path, determined: Mapping[str, Any]) -> None:
        """`determined`: all that the bytes of the store follow from, as plain JSON types."""
        self._folder, self._determined = folder, json.loads(json.dumps(determined))
        self.notes: list[Note] = []
        self.digests: dict[str, str] = {}
        """sha256 of files of the store that are known, by their paths."""
        self.torn = ""
        """The first file that a note is of and that is not whole, or ''."""
        for note in _notes(folder, self._determined):
            if not note.is_whole(folder):
                self.torn = next(path for path, file in note.files.items() if not _is_same(folder / path, *file))
                break
            self.notes.append(note)
            self.digests |= {path: sha256 for path, (_, _, sha256) in note.files.items()}
        self._clear()

    def add(self, digests: Mapping[str, str], **said: int) -> None:
        """Note that the next shard is whole: the digests of its files, by their paths."""
        files = {}
        for path, digest in digests.items():
            with (self._folder / path).open("rb") as stream:
                os.fsync(stream.fileno())  # what is noted is on the disk, whatever ends the machine
                status = os.fstat(stream.fileno())
            files[path] = (status.st_size, status.st_mtime_ns, digest)
        self.notes.append(Note(files, said))
        self.digests |= digests
        self._write([self.notes[-1]], "a")

    def outlives(self, error: BaseException) -> bool:
        """Whether whole shards are worth keeping: there are some, and what ended the work is no fault of it, but a
        signal or the disk (or what was made of its error)."""
        of_disk = isinstance(error, OSError) or isinstance(error.__cause__, OSError)
        return bool(self.notes) and (of_disk or not isinstance(error, Exception))

    def forget(self) -> None:
        """Remove the notes: the store is whole."""
        (self._folder / NOTES).unlink(missing_ok=True)

    def _clear(self) -> None:
        if not self.notes:
            if self._folder.exists():
                shutil.rmtree(self._folder)
            return
        kept = {NOTES, *self.digests}
        for file in [file for file in self._folder.rglob("*") if file.is_file()]:
            if file.relative_to(self._folder).as_posix() not in kept:
                file.unlink()
        self._write(self.notes, "w")

    def _write(self, notes: list[Note], mode: str) -> None:
        file = self._folder / NOTES
        lines = [asdict(note) for note in notes]
        if mode == "w" or not file.exists():
            lines.insert(0, self._determined)
        target = file.with_suffix(".new") if mode == "w" else file
        with target.open(mode, encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(line)}\n" for line in lines)
            stream.flush()
            os.fsync(stream.fileno())
        target.replace(file)


def bytes_in(folder: Path) -> int:
    """Bytes of all files in a folder: what the disk gives for a store already."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def noted(folder: Path) -> int:
    """How many shards are noted in a folder, whatever they are of."""
    try:
        return max(0, (folder / NOTES).read_bytes().count(b"\n") - 1)
    except OSError:
        return 0


def _notes(folder: Path, determined: Mapping[str, Any]) -> list[Note]:
    """The notes of a folder that are whole lines; none if they are of another store."""
    try:
        first, *rest = (folder / NOTES).read_text(encoding="utf-8").splitlines()
        if json.loads(first) != determined:
            return []
    except (OSError, ValueError):
        return []
    found = []
    for line in rest:
        try:
            said = json.loads(line)
            files = {path: (int(size), int(date), str(sha256)) for path, (size, date, sha256) in said["files"].items()}
            found.append(Note(files, said["said"]))
        except (ValueError, LookupError, TypeError, AttributeError):  # the line that a kill cut off
            break
    return found


def _is_same(file: Path, size: int, date: int, sha256: str) -> bool:
    try:
        status = file.stat()
    except OSError:
        return False
    return status.st_size == size and (status.st_mtime_ns == date or file_digest(file) == sha256)
