"""Disks that are full or may not be written to: which file it was, and what to do."""

import errno
import functools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from polysem.io.errors import InputError

Value = TypeVar("Value")
Rest = ParamSpec("Rest")

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL_IN_WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|\bos error (?:28|122)\b|\[Errno (?:28|122)\]|"
    r"PytorchStreamWriter failed writing|unexpected pos \d+ vs|database or disk is full"
)
"""How libraries that swallow the number of the error say it: Arrow, safetensors, PyTorch, SQLite."""
TOO_LARGE_IN_WORDS = re.compile(r"File too large|\bos error 27\b|\[Errno 27\]")
"""The same for files that are larger than the file system or the user's limits allow."""


def names_what_the_disk_refused(
    manager: Callable[Concatenate[Path, Rest], AbstractContextManager[Value]],
) -> Callable[Concatenate[Path, Rest], AbstractContextManager[Value]]:
    """For a context manager that writes `path`: an error of a full or read-only disk becomes an InputError."""

    @contextmanager
    @functools.wraps(manager)
    def told(path: Path, /, *arguments: Rest.args, **options: Rest.kwargs) -> Iterator[Value]:
        try:
            with manager(path, *arguments, **options) as value:
                yield value
        except InputError:
            raise
        except Exception as error:
            if said := disk_problem(error, path):
                raise InputError(said) from error
            raise

    return told


def disk_problem(error: BaseException, path: Path | None = None) -> str:
    """What an error says of the disk, with the file and what to do; '' if it is another error."""
    for part in _chain(error):
        number = part.errno if isinstance(part, OSError) else None
        named = path or (Path(str(part.filename)) if isinstance(part, OSError) and part.filename else None)
        file = "a file" if named is None else str(named)
        if number == errno.EFBIG or TOO_LARGE_IN_WORDS.search(str(part)):
            return (
                f"{file} could not be written: it is larger than the file system or your limit (ulimit -f) allows; "
                "raise the limit or move the folder, and run again: what is finished stays"
            )
        if number in FULL or FULL_IN_WORDS.search(str(part)):
            return (
                f"{file} could not be written: its disk is full, or your share of it; free some space there, or move "
                "the folder to a larger disk, and run again: what is finished stays"
            )
        if number in FORBIDDEN and isinstance(part, OSError):
            return (
                f"{file} could not be written ({part.strerror}); make its folder writable for you, or run in a "
                "checkout of your own"
            )
    return ""


def fits(needed: float, free: float) -> bool:
    """Whether so many bytes, and a fiftieth for what a file system adds to them, go into the free ones."""
    return needed * 1.02 <= free


def in_bytes(value: float) -> str:
    """`5.7 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"


def in_gigabytes(value: float) -> str:
    """`1,024.0 GB`, to be compared with another number of them; what would be next to nothing as `in_bytes` has it."""
    return f"{value / 1e9:,.1f} GB" if value >= 1e8 else in_bytes(value)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__
