"""A step of the workflow in a process of its own, watched by a small one that says in the log what ended it.

A step that is killed for its memory or its time cannot say so: its log would be empty. The small process is not the one
that a kernel out of memory chooses, and a cluster that ends a job asks all its processes first (SIGTERM). It is no part
of what a step computes, so `polysem.__main__` begins with it, before anything is loaded that a digest of code covers.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import IO

from polysem.workflow.running.cards import take_card
from polysem.workflow.running.warm import SUPERVISED

CGROUPS = Path("/sys/fs/cgroup")
ASKED = (signal.SIGTERM, signal.SIGINT)
HELD: list[IO[bytes] | None] = []
"""The lock of the card of this process."""
ALONE = 130
"""Exit status of a step whose Snakemake is gone."""
PATIENCE = 2.0
"""Seconds that a step has to end by itself when it was asked to."""


def watch() -> None:
    """Under the workflow, go on in a child process, and return in that one alone; anywhere else do nothing.

    The process that was called waits, ends with Snakemake and with the child, and has the child's exit status; where
    a signal ended that, it writes one line with time, memory and the limits of both, and ends with 128 and its number.
    """
    snakemake = int(os.environ.get(SUPERVISED, 0))
    if not snakemake:
        return
    card = take_card() if _may_use_card(sys.argv) else None  # held until both processes have ended
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        HELD.append(card)
        os.environ[SUPERVISED] = str(os.getppid())
        return
    asked: list[int] = []
    gone: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if not asked:  # a step in the middle of compiled code hears it late, or never
            kill = threading.Timer(PATIENCE, _kill, (child, signal.SIGKILL))
            kill.daemon = True
            kill.start()
        asked.append(number)
        _kill(child, number)

    for each in ASKED:
        signal.signal(each, ask)
    parent = os.getppid() if snakemake == 1 else snakemake
    threading.Thread(target=_end_with, args=(parent, child, gone), daemon=True).start()
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if gone and not asked:
        print("error: ended with the Snakemake that it was run by", file=sys.stderr, flush=True)
        code = ALONE
    elif code < 0 or asked:
        number = int(asked[0] if asked else -code)
        print(sentence(number, time.monotonic() - begun, used.ru_maxrss * 1024), file=sys.stderr, flush=True)
        if number != signal.SIGKILL and (until := time_limit()):  # asked last: the cluster may not wait for the answer
            print(f"Slurm gives its job {until} (days-hours:minutes:seconds)", file=sys.stderr, flush=True)
        code = 128 + number
    os._exit(code)


def _may_use_card(arguments: Sequence[str]) -> bool:
    """Whether a step is to compute on a card, or on one if it finds one."""
    return any(option == "--device" and value != "cpu" for option, value in pairwise(arguments))


def sentence(number: int, seconds: float, memory: int) -> str:
    """What a log says of a step that a signal ended, after some seconds and with so many bytes of memory at most."""
    most = memory_limit()
    allowed = "no limit of memory is known" if most is None else f"its job may have {_megabytes(most)}"
    name = signal.Signals(number).name
    if number == signal.SIGKILL:
        cause = "as the kernel and clusters do with what takes too much memory"
    else:
        cause = "as clusters do when a job's time is up, or when somebody cancels it"
    return (
        f"error: ended by {name} after {seconds:.0f} s, with {_megabytes(memory)} of memory at most, {cause}; {allowed}"
        ". A retry has the number of the attempt times as much (docs/cluster.md)"
    )


def memory_limit(groups: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the control groups of this process allow, the smallest of all above it; None if there is no limit."""
    found = []
    lines = own.read_text(encoding="utf-8").splitlines() if own.is_file() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = groups / controllers
            name = "memory.limit_in_bytes" if controllers else "memory.max"
            inside = root / path.lstrip("/")
            for folder in (inside, *inside.parents):
                with contextlib.suppress(OSError, ValueError):  # "max", and folders above the first group
                    found.append(int((folder / name).read_text(encoding="utf-8")))
    return min((each for each in found if each < 1 << 60), default=None)  # version 1 has a huge number for no limit


def time_limit() -> str:
    """The time that Slurm gives this job, as `1-02:00:00`; '' elsewhere."""
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job or shutil.which("squeue") is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["squeue", "--noheader", "--format=%l", f"--jobs={job}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return done.stdout.strip()
    return ""


def _end_with(parent: int, child: int, gone: list[int]) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    gone.append(parent)
    _kill(child, signal.SIGKILL)


def _kill(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
