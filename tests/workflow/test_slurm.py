"""The workflow on a real Slurm of one node: memory, cancellation, a killed Snakemake, the same bytes.

The whole quick preset is a command, `python benchmarks/slurm.py`.
"""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import one_node
import pytest
from finished_run import QUICK
from one_node import plugin_environment, wait_for
from repository import Repository, environment, plant

if reason := one_node.lacking():
    pytest.skip(f"no Slurm can be had here: {reason}", allow_module_level=True)

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(600)]

TOKENIZER = "results/models/stories-1l/tokenizer.json"
CORPUS = "results/corpora/digits/documents.parquet"
WAITING = 'import time; Path("begun").touch(); time.sleep(0 if Path("fast").exists() else 600)'
PROFILE = ("--workflow-profile", "profiles/slurm", "--cores", "2")


@pytest.fixture
def slurm(tmp_path):
    """The environment of Slurm's commands."""
    with one_node.one_node(tmp_path / "slurm") as variables:
        yield variables


def edit_step(repository: Repository, module: str, before: str, line: str) -> None:
    """Have a step do something else before a line of its function."""
    repository.edit(f"src/polysem/{module}.py", f"    {before}", f"    {line}\n    {before}")


def queue(variables: dict[str, str], repository: Repository, *options: str) -> list[str]:
    """Numbers of the jobs of a repository that are in the queue."""
    command = ["squeue", "--noheader", "--format=%i %Z", *options]
    said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    jobs = [line.split(maxsplit=1) for line in said.splitlines()]
    return [number for number, folder in jobs if Path(folder) == repository.folder]


def start(repository: Repository, variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *PROFILE, *arguments],
        cwd=repository.folder,
        env=environment(repository.folder) | plugin_environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    """What a run said, without its breaks of lines."""
    out = process.communicate(timeout=300)[0]
    assert process.returncode == status, out
    return " ".join(out.split())


def test_what_is_killed_for_memory_cancelled_or_left_by_a_killed_snakemake_is_seen(slurm, tmp_path, subtests):
    """All at once, as most of it is waiting for Slurm."""
    ways = (a_job_killed_for_memory_says_so_and_its_retry_has_twice_as_much, a_cancelled_job_is_seen_within_a_minute)
    ways += (a_killed_snakemake_is_resumed_and_what_it_left_in_the_queue_is_ended,)
    with ThreadPoolExecutor() as threads:
        ends = {way.__name__: threads.submit(way, slurm, tmp_path) for way in ways}
        for name, end in ends.items():
            with subtests.test(name):
                end.result()


def a_job_killed_for_memory_says_so_and_its_retry_has_twice_as_much(slurm, tmp_path):
    """On the way: what belongs together is one submission, and a run without Slurm finds nothing to do."""
    repository = plant(tmp_path / "memory", QUICK)
    edit_step(repository, "models/train_tokenizer", "tokenizer = Tokenizer(", "held = bytearray(600_000_000)")
    asked = [f"{rule}:mem_mb=attempt*800" for rule in ("make_corpus", "train_tokenizer")]
    said = finish(start(repository, slurm, "--set-resources", *asked, "--", TOKENIZER))
    assert said.count("has been submitted with SLURM jobid") == 2
    line = re.search(r"error: ended by SIGKILL after \d+ s, with (\d+) MB of memory at most.*may have (\d+) MB", said)
    assert line and int(line[1]) > 300 and int(line[2]) == pytest.approx(800 * 2**20 / 1e6, abs=10)
    assert "Nothing to be done" in repository.snakemake("--cores", "1", TOKENIZER)


def a_cancelled_job_is_seen_within_a_minute(slurm, tmp_path):
    repository = plant(tmp_path / "cancelled", QUICK)
    edit_step(repository, "corpora/make_corpus", "known = modules_of(", WAITING)
    process = start(repository, slurm, "--retries", "0", "--", CORPUS)
    wait_for((repository / "begun").exists, repository.folder, 120)
    for number in queue(slurm, repository, "--states=RUNNING"):
        subprocess.run(["scancel", number], env=slurm, check=True)
    cancelled = time.monotonic()
    finish(process, 1)
    assert time.monotonic() - cancelled < 60
    logs = (repository / ".snakemake/slurm_logs").rglob("*.log")
    assert any("CANCELLED" in log.read_text() for log in logs)


def a_killed_snakemake_is_resumed_and_what_it_left_in_the_queue_is_ended(slurm, tmp_path):
    repository = plant(tmp_path / "killed", QUICK)
    edit_step(repository, "corpora/make_corpus", "known = modules_of(", WAITING)
    process = start(repository, slurm, "--", CORPUS)
    wait_for((repository / "begun").exists, repository.folder, 120)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    left = queue(slurm, repository)
    assert left
    (repository / "fast").touch()
    said = finish(start(repository, slurm, "--", CORPUS))
    assert f"jobs of an earlier run are in Slurm's queue ({left[0]}); cancelled" in said
    assert not queue(slurm, repository)
    again = plant(tmp_path / "undisturbed", QUICK)
    again.snakemake("--cores", "1", CORPUS)
    assert (repository / CORPUS).read_bytes() == (again / CORPUS).read_bytes()
