"""What a job asks of a cluster: memory, time and disk, by the estimates of `needs`.

They are resources and no params, so that another estimate runs nothing again.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from math import ceil
from typing import Any

from polysem.params.study import Study
from polysem.workflow.checks.needs import Job, jobs
from polysem.workflow.checks.speeds import CPU_GFLOPS, GPU_TFLOPS

LEAST_MB = 1_500
"""Megabytes that a job takes beside its estimate: Snakemake twice, imports, blocks of rows. Of the default study
`measure_features` takes most, 1,290 with an estimate of 3."""
UNKNOWN_MB = 16_000
"""Of a job whose memory is not known: a model of two billion weights in float32, twice."""
LEAST_MINUTES, UNKNOWN_MINUTES = 20, 8 * 60
PATIENCE = 4
"""How many times as long as estimated a job may take: small matrices reach a quarter of a core's speed or less."""
LEAST_DISK_MB = 1_000
Request = Callable[..., int]
"""Of wildcards and the number of the attempt."""


class Requests:
    """The requests of the jobs of a study, counted when the first is asked for.

    A `dry_run` submits nothing, so no request is made: asking for all of them takes about a fifteenth of it.
    """

    def __init__(self, study: Study, *, on_gpu: bool, dry_run: bool = False) -> None:
        self._study = study
        self._on_gpu = on_gpu
        self._dry_run = dry_run

    @cached_property
    def _known(self) -> dict[str, Job]:
        return {output: job for job in jobs(self._study) for output in job.outputs}

    def of(self, made: str, *read: str, card: bool = False) -> dict[str, Request | int]:
        """The resources of a rule whose jobs make `made`, a pattern, and have to hold what they `read` beside it; those
        that use a `card` ask for one if there is one, as a cluster takes `gpu=0` for a request, too."""

        def mem_mb(wildcards: Mapping[str, Any], attempt: int) -> int:
            return attempt * self.memory(_path(made, wildcards))

        def runtime(wildcards: Mapping[str, Any], attempt: int) -> int:
            return attempt * self.minutes(_path(made, wildcards))

        def disk_mb(wildcards: Mapping[str, Any]) -> int:
            return self.disk(*(_path(each, wildcards) for each in (made, *read)))

        asked: dict[str, Request | int] = {"gpu": 1} if card and self._on_gpu else {}
        return asked if self._dry_run else asked | {"mem_mb": mem_mb, "runtime": runtime, "disk_mb": disk_mb}

    def memory(self, made: str) -> int:
        """Megabytes of memory of the job that makes a file."""
        job = self._known.get(made)
        if job is None:
            return LEAST_MB
        return LEAST_MB + (UNKNOWN_MB if job.memory is None else ceil(job.memory / 1e6))

    def minutes(self, made: str) -> int:
        """Minutes that the job which makes a file may take."""
        job = self._known.get(made)
        if job is None:
            return LEAST_MINUTES
        if job.flops is None:
            return UNKNOWN_MINUTES
        flops = job.at_most or job.flops
        seconds = flops[1] / (GPU_TFLOPS * 1e12) if self._on_gpu else flops[0] / (CPU_GFLOPS * 1e9)
        return max(LEAST_MINUTES, ceil(PATIENCE * (seconds + job.seconds) / 60))

    def disk(self, *paths: str) -> int:
        """Megabytes of disk for some files, where they are known."""
        known = [self._known[path].disk or 0.0 for path in paths if path in self._known]
        return LEAST_DISK_MB + ceil(sum(known) / 1e6)


def _path(pattern: str, wildcards: Mapping[str, Any]) -> str:
    return pattern.format_map(dict(wildcards.items()))
