"""Processes that wait for steps with their libraries imported, and become them by a fork."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polysem.workflow.running import warm
from polysem.workflow.running.steps import STEPS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks of warm processes are used on Linux alone")
SOURCES = Path(__file__).resolve().parents[2] / "src"
RUN = """
import sys, time
from polysem.workflow.running import warm
warm.start(["draw_figures"] * warm.LEAST, {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}, gpu=True)
print(warm.os.environ[warm.FOLDER], flush=True)
time.sleep(600)
"""
COLD = (
    *("make_corpus", "train_tokenizer", "store_images", "copy_tokens", "import_model", "record_model", "check_claims"),
    "collect_provenance",
)
"""Steps that import little."""


class Warm:
    """A run with a warm process for drawing, and what is asked of it."""

    def __init__(self, sources: Path = SOURCES) -> None:
        self.sources = sources
        self.environment = os.environ | {"PYTHONPATH": str(sources)}
        self.run = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env=self.environment,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self.run.stdout is not None
        self.folder = Path(self.run.stdout.readline().strip())
        self.environment |= {warm.FOLDER: str(self.folder)}
        self.server = children(self.run.pid)[0]
        ready = (self.folder / "matplotlib.socket").exists
        within(60, lambda: ready() or gone(self.server))
        assert ready(), (self.folder / "matplotlib.log").read_text()

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "polysem", "step", *map(str, arguments)]

    def step(self, *arguments: object, cold: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in self.environment.items() if not (cold and name == warm.FOLDER)}
        return subprocess.run(self.command(*arguments), env=environment, capture_output=True, text=True)

    def begin(self, *arguments: object, cwd: Path | None = None) -> tuple[subprocess.Popen[str], int]:
        """A step that is asked for, and the process that became it."""
        before = children(self.server)
        asking = subprocess.Popen(
            self.command(*arguments), env=self.environment, cwd=cwd, stderr=subprocess.PIPE, text=True
        )
        assert within(20, lambda: len(children(self.server)) > len(before))
        return asking, next(child for child in children(self.server) if child not in before)

    def end(self) -> None:
        self.run.kill()
        self.run.wait()
        if self.run.stdout:
            self.run.stdout.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    sources = shutil.copytree(SOURCES, tmp_path_factory.mktemp("sources") / "src")
    warmed = Warm(sources)
    yield warmed
    warmed.end()


@pytest.fixture
def endless(tmp_path):
    """Options that keep a step waiting: a named pipe that nobody writes to."""
    os.mkfifo(tmp_path / "endless.json")
    return ["collect_plots", "--config", tmp_path / "endless.json"]


def children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def within(seconds: float, holds) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def gone(process: int) -> bool:
    status = Path(f"/proc/{process}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


def test_every_step_has_its_place():
    taken = [step for steps, _ in warm.LIBRARIES.values() for step in steps]
    assert sorted([*taken, *COLD]) == sorted(STEPS)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["collect_plots", "--tables", "t", "--dictionaries", "[]", "--output", "plots"], id="success"),
        pytest.param(["collect_plots", "--tables", "t", "--nonsense", "1"], id="an option that it lacks"),
        pytest.param(["collect_plots", "--tables", "t", "--dictionaries", "3", "--output", "plots"], id="a bad value"),
        pytest.param(
            ["collect_plots", "--tables", "t", "--dictionaries", '["a/b/c"]', "--output", "plots"], id="a missing table"
        ),
    ],
)
def test_a_step_says_and_returns_the_same_as_without(running, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    forked, plain = running.step(*arguments), running.step(*arguments, cold=True)
    assert (forked.returncode, forked.stdout, forked.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_a_step_has_folder_and_environment_of_who_asked(running, tmp_path):
    ours = ["--tables", "t", "--dictionaries", '["a/b/c"]', "--output", "plots"]
    done = subprocess.run(
        running.command("collect_plots", "--help"),
        env=running.environment | {"COLUMNS": "60"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert max(map(len, done.stdout.splitlines())) <= 60
    os.mkfifo(tmp_path / "a.json")
    asking, job = running.begin("collect_plots", "--config", "a.json", *ours, cwd=tmp_path)
    assert within(20, lambda: Path(f"/proc/{job}/cwd").readlink() == tmp_path)
    asking.kill()
    asking.communicate()


def test_a_source_that_is_edited_counts_at_once(running):
    file = running.sources / "polysem/tables/collect_plots.py"
    text = file.read_text()
    file.write_text(f"{text}\nprint('edited')\n")
    edited = running.step("collect_plots", "--help").stdout
    file.write_text(text)
    assert "edited" in edited and "edited" not in running.step("collect_plots", "--help").stdout


def test_a_job_ends_with_who_asked_for_it(running, endless):
    asking, job = running.begin(*endless)
    assert not gone(job)
    asking.kill()
    asking.communicate()
    assert within(5, lambda: gone(job))
    assert running.step("collect_plots", "--help").returncode == 0


def test_a_job_that_is_killed_is_told(running, endless):
    asking, job = running.begin(*endless)
    os.kill(job, signal.SIGKILL)
    asking.communicate(timeout=20)
    assert asking.returncode == 128 + signal.SIGKILL


def test_several_jobs_run_at_a_time(running, endless, tmp_path):
    first, _ = running.begin(*endless)
    second, _ = running.begin(*endless)
    said = json.dumps({"tables": "t", "dictionaries": [], "output": str(tmp_path / "plots")})
    assert within(20, lambda: len(children(running.server)) == 2)
    for _ in range(2):
        (tmp_path / "endless.json").write_text(said)
        time.sleep(0.2)
    assert {one.wait(30) for one in (first, second)} == {0}


def test_warm_processes_and_their_jobs_end_with_the_run(endless):
    warmed = Warm()
    asking, job = warmed.begin(*endless)
    warmed.end()
    assert within(5, lambda: gone(warmed.server) and gone(job))
    assert "is gone" in asking.communicate(timeout=20)[1]
    assert asking.returncode == 1
    assert within(5, lambda: not warmed.folder.exists())


def test_a_job_ends_with_the_process_that_it_came_from(endless):
    warmed = Warm()
    warmed.environment |= {warm.SUPERVISED: str(os.getpid())}
    asking, job = warmed.begin(*endless)
    time.sleep(1)
    os.kill(warmed.server, signal.SIGKILL)
    assert within(5, lambda: gone(job))
    asking.communicate(timeout=20)
    warmed.end()
    assert asking.returncode != 0


def test_without_a_warm_process_a_step_runs_by_itself(running, tmp_path):
    environment = running.environment | {warm.FOLDER: str(tmp_path)}
    done = subprocess.run(running.command("collect_plots", "--help"), env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage: ")


def test_a_few_steps_start_nothing(monkeypatch):
    monkeypatch.delenv(warm.FOLDER, raising=False)
    warm.start(["draw_figures"] * (warm.LEAST - 1), {}, gpu=False)
    warm.start(["train_sae"] * warm.LEAST, {}, gpu=True)
    assert warm.FOLDER not in os.environ


def test_a_run_whose_environment_names_warm_processes_starts_none(monkeypatch, tmp_path):
    monkeypatch.setenv(warm.FOLDER, str(tmp_path))
    before = children(os.getpid())
    warm.start(["draw_figures"] * warm.LEAST, {}, gpu=True)
    assert os.environ[warm.FOLDER] == str(tmp_path) and children(os.getpid()) == before
