"""One run at a time: the lock of a checkout, which ends with the process that holds it."""

import errno
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from polysem.io.errors import InputError
from polysem.workflow.provenance.records import STATE

LOCK = "polysem.lock"
PATIENCE = 5.0
"""Seconds that a run waits for the lock: a call that only shows something holds it for a moment."""
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that knows no `flock`, as Lustre mounted without it and NFS without a daemon for locks."""
SHOWING = (
    "dryrun", "summary", "detailed_summary", "dag", "rulegraph", "filegraph", "d3dag", "list_rules",
    "list_target_rules", "list_changes", "list_input_changes", "list_params_changes", "list_untracked", "lint",
    "print_compilation", "report", "reporter", "archive", "containerize", "generate_unit_tests", "export_cwl",
)  # fmt: skip
"""Options with which Snakemake runs and removes nothing."""


def hold_workflow_lock(dry_run: bool, state: Path = STATE) -> IO[str] | None:
    """Take the lock of this folder for the life of the process. A call that only shows something needs none and gets
    None where a run holds it; a dry run never takes it.

    A killed Snakemake leaves lock files that stop the next run. The lock taken here ends with its process, so whoever
    gets it knows that no other run is alive, and clears the files.
    Raises InputError, with the number of the process, where another run is active, and where the folder cannot be
    written to or its files cannot be locked.
    """
    if dry_run:
        return None
    try:
        state.mkdir(exist_ok=True)
        lock = (state / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be written ({error.strerror}), and a run keeps its records there; free space on "
            "the disk, or run in a checkout of your own"
        ) from None
    if not _locked(lock):
        if shows_only(sys.argv[1:]):
            lock.close()
            return None
        if not _locked(lock, PATIENCE):
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise InputError(
                f"another run is active in this folder, process {holder or 'unknown'}; wait until it ends, or stop it "
                f"with kill {holder or 'and its number'}. `snakemake -n` may be called meanwhile"
            )
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    for left in ("locks", "backups"):  # Snakemake takes neither away after a kill, and stops where it finds them
        shutil.rmtree(state / left, ignore_errors=True)
    return lock


@contextmanager
def without_a_run(held: IO[str] | None, state: Path = STATE) -> Iterator[bool]:
    """Whether no other run is active in this folder, for as long as the block takes; `held` is this process's own lock.

    A dry run has none, and looks at artifacts that a run may be writing: it takes the lock for this moment, if it can.
    """
    if held is not None:
        yield True
        return
    try:
        lock = (state / LOCK).open("a+", encoding="utf-8")
    except OSError:  # nothing was made here, or nothing can be written: no mark could be left
        yield False
        return
    with lock:
        yield _locked(lock)


def _locked(lock: IO[Any], patience: float = 0.0) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.2)
        except OSError as error:
            if error.errno in WITHOUT_LOCKS:
                raise InputError(no_locks(Path(lock.name))) from None
            raise


def no_locks(file: Path) -> str:
    """What to do where files cannot be locked."""
    return (
        f"the file system of {file.parent.absolute()} knows no locks (flock), so two runs could write to this folder "
        "at the same time; have it mounted with them (Lustre: -o flock), or run in a folder on another disk"
    )


def require_locks(folder: Path) -> None:
    """InputError where files in a folder cannot be locked."""
    with NamedTemporaryFile("w", dir=folder) as file:
        _locked(file)


def shows_only(arguments: list[str]) -> bool:
    """Whether Snakemake's own parser finds an option of `SHOWING`; it is slow, and asked only while
    another process holds the lock, or where jobs are left in a cluster's queue."""
    from snakemake.cli import get_argument_parser

    options = vars(get_argument_parser().parse_known_args(arguments)[0])
    return any(options.get(name) for name in SHOWING)
