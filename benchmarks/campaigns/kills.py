"""SIGKILL at random moments, and what the runs afterwards make of it."""

import os
import random
import shutil
import signal
import subprocess
from contextlib import suppress

import psutil

from campaigns import small_study
from campaigns.case import Case

TITLE = "Kills"
KIND = "random kills, after which the next run goes on and ends with the bytes of an undisturbed one"
KILLS, SMOKE = 40, 3
LONGEST = 9.0
"""Seconds from the start of a run to its kill, at most; the first two or three go by before a job starts."""
VICTIMS = ("snakemake", "a step", "all of it")
SEED = 1


def cases(scratch, smoke):
    """One for every kill, all told at the end: only then is it known whether they left a trace."""
    whole = small_study.finished(scratch / "whole")
    yield from disturbed(whole, scratch / "disturbed", SMOKE if smoke else KILLS, everything=not smoke)


def disturbed(whole, folder, kills, everything):
    """Runs of a copy, killed again and again. Where one ends before, what it made is deleted and made again:
    `everything`, or what follows from the tables."""
    copy, draw = whole.copy(folder), random.Random(SEED)
    wanted = whole.digests()
    forget(copy, everything)
    done = []
    problem = ""
    while len(done) < kills and not problem:
        victim = draw.choice(VICTIMS)
        moment = draw.uniform(0.5, LONGEST)
        killed, left = kill_once(copy, victim, moment)
        if killed:
            done.append(f"{victim} after {moment:.1f} s")
            problem = f"{left} went on after the kill" if left else ""
        else:
            problem = differing(copy, wanted)
            forget(copy, everything)
    said = copy.snakemake()
    problem = problem or differing(copy, wanted)
    if not problem and "Nothing to be done" not in copy.snakemake("--dry-run"):
        problem = f"the run afterwards leaves something to be done: {said[-500:]}"
    if not problem and list((copy / "results").rglob("*.partial")):
        problem = "partial files are left"
    if not problem and ", 0 bad" not in (said := copy.polysem("verify")):
        problem = said
    for kill in done:
        yield Case(KIND, kill, problem)


def kill_once(repository, victim, moment):
    """Whether the run was still going, and the steps that went on after their end should have come."""
    run = repository.start()
    try:
        run.wait(moment)
        return False, []
    except subprocess.TimeoutExpired:
        pass
    steps = [child for child in psutil.Process(run.pid).children(recursive=True) if is_step(child)]
    if victim == "a step" and steps:
        with suppress(psutil.NoSuchProcess):
            random.Random(moment).choice(steps).kill()
        run.wait(300)
    elif victim == "all of it":
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    else:
        run.kill()
    run.wait()
    _, left = psutil.wait_procs(steps, timeout=10)
    return True, [step.pid for step in left if step.is_running() and step.status() != psutil.STATUS_ZOMBIE]


def is_step(process):
    """Whether a process is a step, `python -m polysem step NAME`."""
    try:
        return process.cmdline()[1:4] == ["-m", "polysem", "step"]
    except psutil.Error:
        return False


def forget(repository, everything):
    """Delete results; the records stay, as they do when somebody deletes files by hand."""
    for path in ("results",) if everything else ("results/figures", "results/report", "results/metrics.json"):
        target = repository / path
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)


def differing(repository, wanted):
    """The first file that is not that of the undisturbed run, or ''."""
    found = repository.digests()
    names = sorted(name for name in found | wanted if found.get(name) != wanted.get(name))
    return f"{len(names)} files differ: {names[0]}" if names else ""
