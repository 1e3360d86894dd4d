"""`polysem plan`: what a study takes, before anything runs."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from polysem.io.disk import in_bytes
from polysem.io.errors import InputError
from polysem.layout.place import RESULTS
from polysem.params.comparisons import firsts_of_recipes
from polysem.params.study import Study, load_study
from polysem.workflow.checks import feature_numbers
from polysem.workflow.checks.needs import PHASES, Job, jobs
from polysem.workflow.checks.speeds import CPU_GFLOPS, GPU_TFLOPS

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Total:
    """A sum of which parts may not be known."""

    known: float = 0.0
    complete: bool = True

    def text(self, unit: Callable[[float], str]) -> str:
        """`≥` where parts are not known, a dash for nothing."""
        if self.complete:
            return unit(self.known) if self.known else "–"
        return f"≥ {unit(self.known)}" if self.known else UNKNOWN


@dataclass(frozen=True)
class Speed:
    """Operations per second that are reckoned with."""

    cpu: float
    """Of one core."""
    gpu: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--configfile", type=Path, default=Path("params.yaml"), help="the params file to plan")
    parser.add_argument("--cpu-gflops", type=float, default=CPU_GFLOPS, help="speed of a core (default: %(default)s)")
    parser.add_argument("--gpu-tflops", type=float, default=GPU_TFLOPS, help="speed of a GPU (default: %(default)s)")


def command(options: argparse.Namespace) -> int:
    """Say what a study takes: downloads, disk, memory, hours. Nothing is run, made or downloaded."""
    if not (options.cpu_gflops > 0 and options.gpu_tflops > 0):
        raise InputError("--cpu-gflops and --gpu-tflops must be above 0")
    study = load_study(options.configfile)
    feature_numbers.check(study)
    speed = Speed(options.cpu_gflops * 1e9, options.gpu_tflops * 1e12)
    found = list(jobs(study))
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(phase_table(found, speed))
    for line in [*missing(found), *questions(study), *assumptions(speed), here()]:
        console.print(line, soft_wrap=True, markup=False)
    return 0


def phase_table(found: Iterable[Job], speed: Speed) -> Table:
    """One row per phase and one for all, of the jobs that are still to be done."""
    found = list(found)
    table = Table(title="What is still to be made", title_justify="left")
    table.add_column("phase")
    for heading in (
        "jobs",
        "made",
        "download",
        "disk",
        "memory of a job",
        "core hours",
        "GPU hours",
        "core hours beside",
    ):
        table.add_column(heading, justify="right")
    for phase in PHASES:
        ours = [job for job in found if job.phase == phase]
        if ours:
            table.add_row(phase, *_cells(ours, speed), end_section=phase == PHASES[-1])
    table.add_row("all", *_cells(found, speed))
    return table


def _cells(group: list[Job], speed: Speed) -> list[str]:
    left = [job for job in group if not job.made]
    memory = [job.memory for job in left]
    largest = Total(max((value for value in memory if value is not None), default=0.0), None not in memory)
    beside = sum(job.seconds for job in left) / 3600
    gpu = total(None if job.flops is None else job.flops[1] / speed.gpu / 3600 for job in left)
    return [
        f"{len(group):,}",
        f"{len(group) - len(left):,}",
        total(job.download for job in left).text(in_bytes),
        total(job.disk for job in left).text(in_bytes),
        largest.text(in_bytes),
        core_hours(left, speed).text(in_hours),
        gpu.text(in_hours),
        Total(beside).text(in_hours),
    ]


def core_hours(left: Iterable[Job], speed: Speed) -> Total:
    """Hours of one core that jobs take, on CPUs alone."""
    return total(None if job.flops is None else job.flops[0] / speed.cpu / 3600 + job.seconds / 3600 for job in left)


def total(values: Iterable[float | None]) -> Total:
    """The sum of what is known, and whether that is all."""
    parts = list(values)
    return Total(sum(value for value in parts if value is not None), None not in parts)


def missing(found: Iterable[Job]) -> list[str]:
    """What is not known, each once, and what would tell."""
    reasons = dict.fromkeys(reason for job in found if not job.made for reason in job.missing)
    return ["Not known yet:", *(f"  {reason}" for reason in reasons), ""] if reasons else []


def questions(study: Study) -> list[str]:
    """What language models are asked about features, at most."""
    lines = []
    for name, explainer in study.explainers.items():
        models = [
            model for model, of in study.models.items() if of.source != "classifier" and explainer.explains(model)
        ]
        dictionaries = sum(
            1 + len(firsts_of_recipes(study, model, site)) for model in models for site in study.models[model].sites
        )
        calls = dictionaries * explainer.features * explainer.calls()
        lines.append(
            f"explainers.{name}: up to {calls:,} calls by its features and scores, and of each of {len(models)} models "
            f"no more than {explainer.most_calls:,} calls (most_calls) and {explainer.most_tokens:,} tokens "
            "(most_tokens)."
        )
    return lines


def assumptions(speed: Speed) -> list[str]:
    """What the numbers rest on."""
    return [
        f"Core hours: on CPUs alone, {speed.cpu / 1e9:g} GFLOP/s per core. GPU hours: on one GPU, {speed.gpu / 1e12:g} "
        "TFLOP/s, with the core hours beside them; small models and small batches reach less of either.",
        "Counted: 2 operations per weight and token forward, 6 in training; an SAE's step 2 per neuron, feature and "
        "token on a CPU and 10 on a GPU; a job takes 4 s to start, the figures of a dictionary 15 s.",
        "Not counted: tokenizing, reading and writing. Disk is without the checkpoints of trainings that are running "
        "and without DVC's cache, which holds everything a second time where the file system cannot share blocks.",
    ]


def here() -> str:
    """What this machine has."""
    results = Path(RESULTS)
    free = shutil.disk_usage(results if results.exists() else Path()).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"Here: {in_bytes(free)} of disk free, {in_bytes(memory)} of memory, {os.cpu_count()} cores."


def in_hours(value: float) -> str:
    """Two digits, or whole hours: `0.034`, `12`, `1,300`."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
