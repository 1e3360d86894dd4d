"""Digests of files and folders by content; what was hashed before is looked up by size, times and inode."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import MappingProxyType

from polysem.io.caches import FOLDER, read_cache, write_cache

MEMORY = FOLDER / "digests.json"
SETTLED = 50_000_000
"""Nanoseconds after a change until which the system may give a second change the same time."""

MUCH = 1 << 26
"""Bytes of a folder from which on starting threads is worth it."""


class Digests:
    """sha256 of files and folders. `keep` writes down what had to be hashed, so that it need not be again."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = read_cache(MEMORY) or {}
        self._fresh = False

    def of(self, path: Path) -> str:
        """The digest of a file, or of a folder by `folder_digest`. Raises OSError if there is none."""
        is_folder = path.is_dir()
        stamp, changed = _folder_stamp(path) if is_folder else _stamp(path.stat())
        place = str(path.absolute())
        known = self._known.get(place)
        if known is not None and known[0] == stamp:
            return known[1]
        digest = folder_digest(path) if is_folder else file_digest(path)
        if time.time_ns() - changed > SETTLED:
            self._known[place] = [stamp, digest]
            self._fresh = True
        return digest

    def same_folder(self, path: Path, dates: str, digest: str) -> bool:
        """Whether a folder has this digest. Nothing is read if names, sizes and dates are those of `folder_dates`."""
        return path.is_dir() and (folder_dates(path) == dates or self.of(path) == digest)

    def keep(self) -> None:
        """Write the memory down if there is anything new in it. InputError if that cannot be done."""
        if self._fresh:
            write_cache(MEMORY, self._known)
            self._fresh = False


def content_digest(files: Iterable[Path]) -> str:
    """The start of the sha256 over contents and places, which are paths below the folder that all files have in
    common: two files that change places below it are noticed, and the folder may be another one elsewhere."""
    digests = _digests()
    digest = hashlib.sha256()
    found = sorted(files)
    folder = os.path.commonpath([file.absolute().parent for file in found]) if found else ""
    for file in found:
        place = file.absolute().relative_to(folder).as_posix()
        digest.update(f"{place}\0{digests.of(file)}\0".encode())
    digests.keep()
    return digest.hexdigest()[:16]


@cache
def _digests() -> Digests:
    """One memory for the whole process: a large study asks for thousands of digests."""
    return Digests()


def known_digest(file: Path) -> str:
    """sha256 of a file, from the memory if it was hashed before."""
    digests = _digests()
    digest = digests.of(file)
    digests.keep()
    return digest


def text_digest(text: str) -> str:
    """The start of the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digest(path: Path) -> str:
    """The digest of a folder: `tree_digest` of its files."""
    return tree_digest(file_digests(path))


def tree_digest(digests: Mapping[str, str]) -> str:
    """sha256 over relative names and digests of the files of a folder, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(digests):
        digest.update(f"{name}\0{digests[name]}\0".encode())
    return digest.hexdigest()


def file_digests(path: Path, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """sha256 of the files of a folder, by their relative names; those that are `known` are not read. All cores read
    where there is much.

    Hidden files are no part of it: Snakemake leaves a time stamp of its own in every directory that it made.
    """
    found = sorted(_listing(path))
    unknown = [(name, status.st_size) for name, status in found if name not in known]
    files = [path / name for name, _ in unknown]
    if sum(size for _, size in unknown) < MUCH:
        digests = list(map(file_digest, files))
    else:
        with ThreadPoolExecutor(_cores()) as pool:
            digests = list(pool.map(file_digest, files))
    fresh = dict(zip((name for name, _ in unknown), digests, strict=True))
    return {name: known[name] for name, _ in found if name in known} | fresh


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def folder_dates(path: Path) -> str:
    """Digest over names, sizes and dates of the same files: nothing is read."""
    digest = hashlib.sha256()
    for name, status in sorted(_listing(path)):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def _folder_stamp(path: Path) -> tuple[str, int]:
    digest, changed = hashlib.sha256(), 0
    for name, status in sorted(_listing(path)):
        stamp, when = _stamp(status)
        digest.update(f"{name}\0{stamp}\0".encode())
        changed = max(changed, when)
    return digest.hexdigest()[:16], changed


def _stamp(status: os.stat_result) -> tuple[str, int]:
    """What no change of a file leaves as it was, and when the last one was."""
    parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return ":".join(map(str, parts)), status.st_ctime_ns


def _listing(path: Path, above: str = "") -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _listing(Path(entry.path), f"{above}{entry.name}/")
            elif not entry.name.startswith(".") and entry.is_file():
                yield f"{above}{entry.name}", entry.stat()
