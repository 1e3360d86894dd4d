"""A disk that is full at every stage of a study: what is said, what is left, and what the next run makes of it.

The study runs on a file system in memory that has no room for it. Each time it fails, the file system gets a little
more room and the study is run again, until it ends: so every stage meets the end of the disk. Needs the right to mount.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repository import Repository, environment, plant

from campaigns.case import Case, tried
from campaigns.small_study import PARAMS, finished

TITLE = "Full disks"
STEP = 400
"""Kilobytes that are added each time."""
SENTENCE = re.compile(
    r"error: .*(could not be written|is full|cannot be written|free some space)|"
    r"WorkflowError:\n.*No space left on device",  # Snakemake's own, of its records
    re.DOTALL,
)
MOST = 60


def cases(scratch: Path, smoke: bool) -> Iterator[Case]:
    """One case per run that met the end of the disk, and one for what came out; a smoke ends after the first three."""
    if os.geteuid() != 0:
        yield Case("full disks", "mount", "only root can mount a small file system; run this campaign as root")
        return
    whole = None if smoke else finished(scratch / "whole")
    disk = scratch / "disk"
    disk.mkdir()
    with mounted(disk):
        repository = plant(disk / "study", PARAMS)
        room = used(disk)
        for _ in range(3 if smoke else MOST):
            room += STEP
            resize(disk, room)
            case = tried("full disks", f"{room:,} kB", runs_or_says, repository)
            yield case
            if case.problem or not left_to_do(repository):
                break
        if smoke:
            return
        yield tried("outcomes", "all bytes are those of an undisturbed run", same_bytes, repository, whole)


def runs_or_says(repository: Repository) -> None:
    """AssertionError unless a run ends well, or with a sentence and nothing torn in the place of an artifact."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--quiet", "rules"],
        cwd=repository.folder,
        env=environment(repository.folder) | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    if done.returncode:
        assert SENTENCE.search(said), said
        assert "Segmentation fault" not in said, said
        assert "Traceback" not in said, said


def same_bytes(repository: Repository, whole: Repository) -> None:
    """AssertionError unless both hold the same files, and nothing is left to be done."""
    found, expected = repository.digests(), whole.digests()
    assert found == expected, sorted({*found.items()} ^ {*expected.items()})[:10]
    assert not list((repository / "results").rglob("*.partial"))


def left_to_do(repository: Repository) -> bool:
    """Whether the study has not ended."""
    return not (repository / "results/report/index.html").exists()


def used(disk: Path) -> int:
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize // 1024


@contextmanager
def mounted(disk: Path) -> Iterator[None]:
    """A file system in memory, large at first."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "polysem", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
