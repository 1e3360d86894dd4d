"""The files that a path or pattern of the params names: the check before a run, the digest and the reader ask here."""

import glob
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path


def matching_files(pattern: str) -> list[Path]:
    """The files of a path or pattern, sorted; none if nothing matches.

    `~` is the home folder. A name that is there is taken as it is, whatever brackets are in it. A folder stands for all
    files below it. In a pattern `**` stands for any folders. Linked files and folders count, each place once: a link
    to a folder above it is not followed. Hidden files and folders are left out unless they are named.
    """
    path = expanded(pattern)
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(_below(path))
    found = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 (Path.glob does not follow links)
    return sorted(file for file in found if file.is_file() and not _in_a_circle(file.parent))


def expanded(path: str) -> Path:
    """A path with the home folder in the place of `~`; that of a user who is not there stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises RuntimeError there)


def files_of(paths: Iterable[str]) -> list[Path]:
    """The files of several paths and patterns, each once, sorted."""
    return sorted({file for path in paths for file in matching_files(path)})


def _below(folder: Path) -> Iterator[Path]:
    for base, folders, files in os.walk(folder, followlinks=True):
        here = Path(base)
        folders[:] = [name for name in folders if not name.startswith(".") and not _in_a_circle(here / name)]
        yield from (here / name for name in files if not name.startswith(".") and (here / name).is_file())


@lru_cache(maxsize=4096)
def _in_a_circle(folder: Path) -> bool:
    """Whether the way to a folder passes through it, or another of its folders, before: a link leads back up."""
    real = [os.path.realpath(part) for part in (folder, *folder.parents)]
    return len(set(real)) < len(real)
