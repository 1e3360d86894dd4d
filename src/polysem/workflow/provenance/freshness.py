"""Whether artifacts are what their records say: bytes against the seal of the job, and what it read against the seals
of the jobs that made that.

Snakemake looks at dates first, and at content only where an input is newer. So whatever comes in by another way than a
run, with whatever date, is found here: results of git that `git stash` or `git checkout` brings back, an older
`results/` that is copied over this one, a file that somebody edited.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from polysem.io.content import Digests
from polysem.io.errors import InputError
from polysem.workflow.provenance.records import (
    STATE,
    Made,
    mark_again,
    marked_artifacts,
    read_made,
    record_name,
    unmark,
)
from polysem.workflow.running.seals import SEALS, Output, Seal, read_seal

NAMED = 3


def make_again(artifacts: Iterable[str], in_git: Iterable[list[str]], told: str = "", state: Path = STATE) -> list[str]:
    """Mark the artifacts that are `outdated`, so that a run makes them again, and take marks back where they no longer
    hold; their paths."""
    found = outdated(artifacts, in_git, told, state)
    for path in found:
        mark_again(path, state)
    for name in marked_artifacts(state)[1] - {record_name(path) for path in found}:
        unmark(name, state)
    return found


def outdated(artifacts: Iterable[str], in_git: Iterable[list[str]], told: str = "", state: Path = STATE) -> list[str]:
    """The artifacts that a run has to make again.

    `artifacts` have records, or are none of this function's business. Those `in_git`, by jobs, came with a clone,
    perhaps: what has no record is made again. `told` is the one of `artifacts`, if there is one, that tells of the
    records themselves (`collect_provenance`): Snakemake knows its inputs, and no records. What a killed job left behind
    is known to Snakemake already. Raises InputError for a record or a seal that is damaged.
    """
    unfinished, _ = marked_artifacts(state)
    review = Review(state)
    for path in artifacts:
        if record_name(path) not in unfinished:
            review.add(path)
    for job in in_git:
        if not any(record_name(path) in unfinished for path in job):
            review.add_job(job)
    found = review.outdated()
    return found if told in found or review.is_told(told) else [*found, told]


def require_of_one_run(artifacts: Iterable[str], state: Path = STATE) -> None:
    """InputError, with the file named, unless artifacts are what their runs left and were made from the files that are
    there now, and these from theirs, back to the beginning.

    `outdated` leaves to Snakemake what follows from a newer file; here that counts, too: whoever reads artifacts of
    several jobs without a run (`polysem export`) would mix old and new ones.
    """
    if said := Review(state).problem(artifacts):
        raise InputError(f"{said}; run snakemake first")


def tell(paths: list[str]) -> None:
    """Say on standard error what will be made again."""
    if paths:
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        print(
            f"note: {', '.join(paths[:NAMED])}{more}: not what the run of their records left, or made from other "
            "files than there are now; made again",
            file=sys.stderr,
        )


class Review:
    """Artifacts with their records and seals."""

    def __init__(self, state: Path = STATE) -> None:
        self._state = state
        self._seals: dict[str, Seal | None] = {}
        self._made: dict[str, Made] = {}
        self._outputs: dict[str, Output] = {}
        self._again: dict[str, None] = {}
        self._digests = Digests()

    def add(self, path: str) -> None:
        """Hold an artifact against the seal of its job."""
        if Path(path).exists() and (made := read_made(path, self._state)) is not None:
            self._add(path, made)

    def add_job(self, paths: list[str]) -> None:
        """Hold all that one job makes against its seal, by content. Only its first record is read: each names every
        input, and the job that collects plots has as many inputs and outputs as there are dictionaries."""
        there = [path for path in paths if Path(path).exists()]
        made = read_made(there[0], self._state) if there else None
        if made is None:
            self._again |= dict.fromkeys(there[:1])
            return
        self._add(there[0], replace(made, time=None))
        for path in there[1:]:
            self._add(path, replace(made, time=None, inputs={}))

    def _add(self, path: str, made: Made) -> None:
        output = self._sealed(made, path)
        if output is None or not self._is_what_was_left(path, made, output):
            self._again[path] = None
        else:
            self._made[path], self._outputs[path] = made, output

    def outdated(self) -> list[str]:
        """The artifacts that are not what was made, or were made from something else than there is now."""
        self._digests.keep()
        return [*self._again, *(path for path, made in self._made.items() if self._read_another(path, made))]

    def is_told(self, path: str) -> bool:
        """Whether what tells of records tells of those that there are: jobs that ran in another way since, and left the
        same bytes, are seen by nobody else."""
        if path not in self._made:
            return True
        jobs = json.loads(Path(path).read_bytes())["jobs"]
        commands = {made.log: made.command for made in self._made.values()}
        return all(commands.get(log, job["command"]) == job["command"] for log, job in jobs.items())

    def problem(self, paths: Iterable[str]) -> str:
        """What speaks against artifacts, or against what they were made from, or ''. Each must have a record; what a
        job read without one is no artifact."""
        waiting = list(dict.fromkeys(paths))
        if unknown := [path for path in waiting if read_made(path, self._state) is None]:
            return f"there is no record of how {unknown[0]} was made"
        seen = set(waiting)
        for path in waiting:
            self.add(path)
            if path in self._again:
                return f"{path} is not what its run left"
        for path in waiting:  # grows
            for other, digest in self._made[path].inputs.items() if path in self._made else ():
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
                    self.add(other)
                if other in self._again:
                    return f"{other}, from which {path} was made, is not what its run left"
                if other in self._outputs and self._outputs[other].sha256 != digest:
                    return f"{path} was made from another {other} than there is now"
        self._digests.keep()
        return ""

    def _sealed(self, made: Made, path: str) -> Output | None:
        """What the run of a record left at a path; None if a killed run sealed something else there since, or if the
        job failed: Snakemake then brings back what it was to update, and writes a record of that as if it were new."""
        log = made.log
        if log not in self._seals:
            self._seals[log] = read_seal(log, self._state / SEALS.relative_to(STATE)) if log else None
        seal = self._seals[log]
        if seal is None or seal.command != made.command or seal.written < (made.started or 0.0):
            return None
        return seal.outputs.get(path)

    def _is_what_was_left(self, path: str, made: Made, output: Output) -> bool:
        """By size and date; by content where the date is another or says nothing."""
        if output.dates:
            return self._digests.same_folder(Path(path), output.dates, output.sha256)
        status = Path(path).stat()
        if status.st_size != output.size:
            return False
        return status.st_mtime == made.time or self._digests.of(Path(path)) == output.sha256

    def _read_another(self, path: str, made: Made) -> bool:
        """Whether the job read another artifact than there is. Where that is newer, Snakemake sees it, and says so."""
        changed = [
            other
            for other, digest in made.inputs.items()
            if other in self._outputs and self._outputs[other].sha256 != digest
        ]
        return any(Path(other).stat().st_mtime <= _date(path) for other in changed)


def _date(path: str) -> float:
    """The date by which Snakemake goes; a folder has a hidden file for it."""
    carrier = Path(path, ".snakemake_timestamp")
    return max(Path(path).stat().st_mtime, carrier.stat().st_mtime if carrier.exists() else 0.0)
