"""Activation stores that the job of one site made for the jobs of others.

The jobs of a model and a split take turns. The first runs the model once for all stores of the run and leaves those of
other sites in the folder `handed-over` beside their places; each other job takes its own from there. A note beside such
a store says all that determines it. A job takes what has the note that its own store would have, and nothing else.
"""

import fcntl
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from polysem.io.atomic import PLACED, before_placing, placed, write_json
from polysem.io.begun import noted
from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.content import file_digest, folder_dates
from polysem.io.stores import partial_of, read_receipt, receipt_path, remove_store

WAITING = FOLDER / "extractions"
"""The folder of the lists of a run: which stores of a model and a split are still to be made."""
HANDED_OVER = "handed-over"


class Waiting:
    """The stores of a model and a split that jobs of this run have still to make."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.stores: dict[str, Path] = {}
        """The places of the stores, by site."""
        if file is not None:
            self.stores = {site: Path(store) for site, store in (read_cache(file) or {}).items()}

    def settle(self, site: str) -> None:
        """Note that a store was made, or cannot be made together with others: its own job sees to it."""
        if self._file is not None and self.stores.pop(site, None) is not None:
            write_waiting(self._file, self.stores)


def write_waiting(file: Path, stores: Mapping[str, Path]) -> None:
    """Write the list of stores that are still to be made, by site."""
    write_cache(file, {site: str(store) for site, store in stores.items()})


@contextmanager
def turn(file: Path | None) -> Iterator[Waiting]:
    """The list in a file, when no other job that reads it is at work: they wait for each other. None: an empty one."""
    if file is None:
        yield Waiting(None)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for the job that runs the model for several sites", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield Waiting(file)


def place_of(store: Path) -> Path:
    """Where a store is left for the job that is to have it at `store`."""
    return store.parent / HANDED_OVER / store.name


def hand_over(store: Path, determined: Mapping[str, Any], said: str) -> None:
    """Note what determines the store that was made in the `place_of` one, and what its job is to say. It is no output
    of the job that made it."""
    made = place_of(store)
    digest = file_digest(receipt_path(made))
    note = {"determined": determined, "receipt": digest, "dates": folder_dates(made), "said": said}
    write_json(_note(made), note)
    for path in (made, receipt_path(made), _note(made)):
        PLACED.pop(path, None)


def is_handed_over(store: Path, determined: Mapping[str, Any]) -> bool:
    """Whether the store that is determined so was made for `store`, and nobody touched it since."""
    made = place_of(store)
    note = _read_note(made)
    if note.get("determined") != determined or not (made.is_dir() and receipt_path(made).is_file()):
        return False
    return note["receipt"] == file_digest(receipt_path(made)) and note["dates"] == folder_dates(made)


def take_over(store: Path, determined: Mapping[str, Any]) -> str | None:
    """Put the store that was handed over in its place, with its receipt, and give what there is to say of it; None if
    there is none that is determined so. What else was left for this place is removed."""
    if not is_handed_over(store, determined):
        drop(store)
        return None
    made, receipt = place_of(store), receipt_path(store)
    said: str = _read_note(made)["said"]
    digest: str = read_receipt(made)["sha256"]
    before_placing()
    _note(made).unlink()
    remove_store(store)
    made.rename(store)
    placed(store, digest)
    receipt_path(made).replace(receipt)
    placed(receipt)
    discard(store)
    return said


def take_begun(store: Path, place: Path) -> None:
    """Of what ended jobs began of a store, in its own place or for a hand-over, keep what has more whole shards, where
    the one that is to be written at `place` goes on with it."""
    begun = [partial_of(store), partial_of(place_of(store))]
    best = max(begun, key=noted)
    (other,) = (folder for folder in begun if folder != best)
    if other.exists():
        shutil.rmtree(other)
    if best.exists() and best != partial_of(place):
        partial_of(place).parent.mkdir(parents=True, exist_ok=True)
        best.rename(partial_of(place))
    _remove_if_empty(place_of(store).parent)


def drop(store: Path) -> None:
    """Remove what was handed over for the job of a store, note first, and leave what was only begun."""
    made = place_of(store)
    _note(made).unlink(missing_ok=True)
    receipt_path(made).unlink(missing_ok=True)
    if made.exists():
        shutil.rmtree(made)
    _remove_if_empty(made.parent)


def discard(store: Path) -> None:
    """Remove what was left for the job of a store, whole or not."""
    if (begun := partial_of(place_of(store))).exists():
        shutil.rmtree(begun)
    drop(store)


def discard_all_but(stores: Iterable[Path], patterns: Iterable[str]) -> None:
    """Remove what was left for stores of some patterns, as `glob` has them, that are not among `stores`."""
    kept = set(stores)
    for pattern in map(Path, patterns):
        for folder in Path().glob(str(pattern.parent / HANDED_OVER)):
            if (store := folder.parent / pattern.name) not in kept:
                discard(store)


def _read_note(made: Path) -> dict[str, Any]:
    """What is noted of a store; nothing where there is no note, or none that is whole."""
    try:
        note: dict[str, Any] = json.loads(_note(made).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # another split has something there, or nothing was left
        folder.rmdir()


def _note(made: Path) -> Path:
    return made.with_suffix(".note.json")
