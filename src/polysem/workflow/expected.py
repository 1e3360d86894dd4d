"""How long jobs are expected to take: as long as each of them took when it ran last, or else by the estimate of
`polysem plan`; and how long a run still takes, by these and by how long its own jobs took."""

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from polysem.params.study import Study
from polysem.workflow.checks.needs import START, jobs
from polysem.workflow.checks.speeds import CPU_GFLOPS

TRUSTED = 0.2
"""Share of what is expected of a whole run that weighs against the pace of its first jobs, which differ from others.
In one default study that nobody had timed before, 0.71 to 0.98 of what was left was said from the second minute on to
the last; with a tenth of the share it was 0.4 in the second minute."""


def expected_seconds(outputs: Mapping[str, Iterable[str]], study: Study) -> tuple[dict[str, float], int]:
    """Seconds of each job, by its log, and how many of them never ran. `outputs` are what jobs make, by their logs."""
    seconds = {log: _took(Path(log).with_suffix(".tsv")) for log in outputs}
    never = sum(known is None for known in seconds.values())
    estimates = _estimates(study) if never else {}
    return {
        log: next((estimates[output] for output in outputs[log] if output in estimates), START)
        if known is None
        else known
        for log, known in seconds.items()
    }, never


class TimeLeft:
    """What is left of a run on some cores. `seconds` are expected of each of its jobs, by its log."""

    def __init__(self, seconds: Mapping[str, float], cores: int) -> None:
        self._seconds, self._cores = dict(seconds), max(1, cores)
        self._expected = self._took = TRUSTED * sum(seconds.values())

    def done(self, log: str, took: float) -> None:
        """Count a job that took so many seconds."""
        self._expected += self._seconds.pop(log, took)
        self._took += took

    def left(self, running: Mapping[str, float]) -> float:
        """Seconds until all jobs are done. `running` has those for which some run already, by their logs."""
        pace = self._took / self._expected if self._expected else 1.0
        rest = [max(0.0, pace * seconds - running.get(log, 0.0)) for log, seconds in self._seconds.items()]
        return max(sum(rest) / self._cores, max(rest, default=0.0))


def _estimates(study: Study) -> dict[str, float]:
    """Seconds on a core by what a job makes."""
    return {
        output: job.seconds + job.flops[0] / (CPU_GFLOPS * 1e9)
        for job in jobs(study)
        if job.flops is not None
        for output in job.outputs
    }


@cache
def _took(file: Path) -> float | None:
    """Seconds of the job that wrote a file of `running.usage`; None if there is none that can be read."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return float(next(csv.DictReader(lines, delimiter="\t"))["s"])
    except (OSError, ValueError, KeyError, StopIteration):
        return None
