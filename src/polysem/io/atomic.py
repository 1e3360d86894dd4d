"""Files that are whole or absent, whenever the process is killed."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polysem.io.disk import names_what_the_disk_refused

PLACED: dict[Path, str] = {}
"""Files and folders that this process put in their place, with the digests that are known already, or ''."""

BEFORE_PLACING: list[Callable[[], None]] = []
"""Called before anything is put in its place; what they raise keeps it out."""


@names_what_the_disk_refused
@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.chmod(permissions())  # some writers create files that only their owner may read
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        before_placing()
        partial.replace(path)
        placed(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with written(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can diff: indented, in the order given, NaN refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def before_placing() -> None:
    """Raise what speaks against putting something in its place."""
    for check in BEFORE_PLACING:
        check()


def placed(path: Path, digest: str = "") -> None:
    """Note that a file or folder is in its place; the seal of the job will vouch for it (`workflow.running.seals`)."""
    PLACED[path] = digest


def permissions() -> int:
    """Those of a new file that the user made with any other program."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
