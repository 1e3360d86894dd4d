"""Jobs that a killed run left in Slurm's queue: they would write, or remove, what the next run makes."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from polysem.io.errors import InputError
from polysem.workflow.provenance.records import STATE

PATIENCE = 60.0
"""Seconds that Slurm has to end them."""
LOGS = "slurm_logs"
"""Where the executor plugin has Slurm write, below Snakemake's folder."""
COMMENT = "rule_"
"""What the comment begins with that the plugin gives its jobs."""


def may_be_left(state: Path = STATE) -> bool:
    """Whether an earlier run submitted something to Slurm, and there is something that it did not see the end of."""
    unfinished = (state / "incomplete").rglob("*")
    return (state / LOGS).is_dir() and any(file.is_file() for file in unfinished)


def end_orphans(folder: Path) -> None:
    """Cancel the jobs that run for `folder` or wait to, and wait until they are gone; nothing without Slurm.

    Whoever calls holds the lock of the folder, so no run is alive that waits for them. InputError if they do not end.
    """
    if shutil.which("squeue") is None:
        print(
            "note: an earlier run was ended while jobs of it were with Slurm, which is not here to tell whether they "
            "still run; look with squeue where it is",
            file=sys.stderr,
        )
        return
    numbers = left(folder)
    if not numbers:
        return
    print(f"note: jobs of an earlier run are in Slurm's queue ({_some(numbers)}); cancelled", file=sys.stderr)
    subprocess.run(["scancel", *numbers], capture_output=True)
    until = time.monotonic() + PATIENCE
    while numbers := left(folder):
        if time.monotonic() > until:
            raise InputError(
                f"jobs of an earlier run do not end ({_some(numbers)}); end them with scancel and run again"
            )
        time.sleep(0.5)


def left(folder: Path) -> list[str]:
    """Numbers of the jobs of Snakemake in the queue that work in a folder."""
    command = ["squeue", "--me", "--noheader", "--format=%i|%Z|%k"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"squeue fails, so nothing tells whether jobs of an earlier run go on: {done.stderr.strip()}")
    return queued(done.stdout, folder)


def queued(lines: str, folder: Path) -> list[str]:
    """The same, out of what squeue says: number, folder and comment of a job on each line."""
    jobs = [line.split("|", 2) for line in lines.splitlines() if line.count("|") >= 2]
    ours = str(folder.resolve())
    return [number for number, place, comment in jobs if place == ours and comment.startswith(COMMENT)]


def _some(numbers: list[str]) -> str:
    return ", ".join(numbers[:3]) + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")
