"""SIGKILL at the worst moment, then another call: the same bytes as without it, no unlock, nobody left writing.

The steps are slowed down in the throw-away repository, so that they are killed in the middle of their work; a slow step
writes the same bytes, those of the finished repository.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from repository import Repository

pytestmark = pytest.mark.workflow

SITE = "stories-1l/blocks.0.mlp.hook_post"
CHECKPOINTS = ".cache/checkpoints/*.pt"


@pytest.mark.parametrize(
    ("job", "outputs", "work", "edits"),
    [
        (
            f"extract_activations/{SITE}/train",
            [f"results/activations/{SITE}/train.json", f"results/activations/{SITE}/train.zarr"],
            f"results/activations/{SITE}/train.zarr.partial/activations/c/0/0",
            {
                "activations/store_in_making.py": (
                    "            taken += self.writer.add(",
                    "            __import__('time').sleep(2)\n            taken += self.writer.add(",
                )
            },
        ),
        (
            f"train_sae/{SITE}/l1-x4",
            [f"results/saes/{SITE}/l1-x4"],
            CHECKPOINTS,
            {"saes/train_sae.py": ("if checkpoint.due():", "time.sleep(0.2)\n        if True:")},
        ),
        (
            "train_model/stories-1l",
            ["results/models/stories-1l/config.json", "results/models/stories-1l/model.safetensors"],
            CHECKPOINTS,
            {"training/optimise.py": ("if checkpoint.due():", "time.sleep(0.2)\n        if True:")},
        ),
    ],
    ids=["extraction", "sae", "language-model"],
)
def test_a_run_that_is_killed_twice_ends_with_the_same_bytes(repository, finished, job, outputs, work, edits):
    """First Snakemake is killed, then, in another run, the step itself."""
    for path, (old, new) in edits.items():
        repository.edit(f"src/polysem/{path}", old, new)
    target = next(str(Path(output)) for output in files(finished, outputs))
    for victim in ("snakemake", "step"):
        with started(repository, target) as (process, begun):
            wait_for(lambda: any(file.stat().st_mtime > begun for file in repository.folder.glob(work)))
            steps = [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if "polysem" in str(child.cmdline())
            ]
            assert steps
            os.kill(process.pid if victim == "snakemake" else steps[0].pid, signal.SIGKILL)
            process.wait(timeout=60)
            wait_for(partial(all_ended, steps), seconds=10)
        assert not (repository / target).exists()
    repository.snakemake(target)
    assert contents(repository, outputs) == contents(finished, outputs)
    assert not list((repository / "results").rglob("*.partial"))
    if work == CHECKPOINTS:
        assert "resumed at step" in (repository / f"logs/{job}.log").read_text()
        assert not list(repository.folder.glob(CHECKPOINTS))


@contextmanager
def started(repository: Repository, target: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A run in the background, in a session of its own of which nothing is left at the end, and when it began."""
    begun = time.time()
    process = repository.start(target)
    try:
        yield process, begun
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def all_ended(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def files(repository: Repository, outputs: list[str]) -> list[str]:
    found = [file for output in outputs for file in [repository / output, *(repository / output).rglob("*")]]
    return sorted(str(file.relative_to(repository.folder)) for file in found if file.is_file())


def contents(repository: Repository, outputs: list[str]) -> dict[str, object]:
    """Bytes of all files; of a receipt all but the digest of the code, which was slowed down."""
    read: dict[str, object] = {path: (repository / path).read_bytes() for path in files(repository, outputs)}
    for path in [path for path in read if path.startswith("results/activations") and ".zarr" not in path]:
        read[path] = {key: value for key, value in json.loads((repository / path).read_text()).items() if key != "code"}
    return read
