"""Tests in forked processes: which lines each runs, and whether it sees an edit.

A fork that has torch, xarray and transformer_lens imported begins a test in a second instead of in eight. Everything
runs in copies of the working tree, so the checkout stays as it is, and the package is that of the copy, in processes
that tests start, too.
"""

import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

LIGHT = ("numpy", "torch", "xarray", "zarr", "hypothesis")
HEAVY = (*LIGHT, "h5netcdf", "netCDF4", "scipy.stats", "sklearn", "transformer_lens")
FIRST = 10
"""Tests that run before the rest of an edit's tests."""
Task = tuple[object, Callable[[Path], object], int]
"""A name, what to do in a copy of the tree, and the seconds of CPU that it may take."""
WAITING = 15
"""A task is stopped, too, after so many times as many seconds on the clock: it waits for something."""


@dataclass(frozen=True)
class Outcome:
    """What came of a task."""

    name: object
    found: object
    """What it gave; None if it was stopped or died."""
    stopped: bool
    """Whether its time was up."""
    seconds_of_cpu: float


def copied(root: Path, to: Path) -> Path:
    """A copy of what git knows of the working tree and what is new in it, with the compiled modules."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=root, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    for compiled in root.glob("src/**/__pycache__"):
        shutil.copytree(compiled, to / compiled.relative_to(root), dirs_exist_ok=True)
    return to


@dataclass
class Workers:
    """Copies of the working tree, each for one task at a time."""

    trees: list[Path]
    imported: Sequence[str] = HEAVY
    """Modules that are imported before the first fork."""

    def results(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Do tasks, in their order; what came of each when it ends."""
        for module in self.imported:
            importlib.import_module(module)
        waiting, running, free = iter(tasks), {}, list(self.trees)
        while True:
            while free and (task := next(waiting, None)) is not None:
                tree = free.pop()
                running[_start(task[1], tree, task[2])] = task[0], tree, time.monotonic() + WAITING * task[2]
            if not running:
                return
            time.sleep(0.02)
            for child, (name, tree, end) in list(running.items()):
                ended, status, used = os.wait4(child, os.WNOHANG)
                waited = not ended and time.monotonic() > end
                if waited:
                    os.killpg(child, signal.SIGKILL)
                    ended, status, used = os.wait4(child, 0)
                if ended:
                    stopped = waited or os.waitstatus_to_exitcode(status) == -signal.SIGXCPU
                    del running[child]
                    free.append(tree)
                    written = tree / "found.json"
                    found = json.loads(written.read_text()) if written.exists() else None
                    yield Outcome(name, found, stopped, used.ru_utime + used.ru_stime)


def _start(work: Callable[[Path], object], tree: Path, seconds: int) -> int:
    (tree / "found.json").unlink(missing_ok=True)
    child = os.fork()
    if child:
        return child
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))  # SIGXCPU first, and not SIGKILL
    status = 1
    try:
        with (tree / "log.txt").open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.chdir(tree)
        source = str(tree / "src")
        sys.path.insert(0, source)
        os.environ["PYTHONPATH"] = source
        found = json.dumps(work(tree))
        (tree / "part.json").write_text(found)
        (tree / "part.json").rename(tree / "found.json")
        status = 0
    finally:
        os._exit(status)


def _pytest(tree: Path, tests: Iterable[str], *options: str, plugin: object) -> int:
    fixed = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={tree}", f"--basetemp={tree}/.tests"]
    return int(pytest.main([*fixed, *options, *tests], plugins=[plugin]))


class _Seen:
    """Which tests did not pass."""

    def __init__(self) -> None:
        self.failed: dict[str, None] = {}

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed[report.nodeid] = None


class _Traced(_Seen):
    """Tells the lines of one test from those of the next, and the seconds of CPU that each takes: those on the clock
    say more of a busy machine than of a test."""

    def __init__(self, traced: coverage.Coverage) -> None:
        super().__init__()
        self._traced = traced
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._traced.switch_context(item.nodeid)
        before = sum(os.times()[:4])
        result = yield
        self.seconds[item.nodeid] = sum(os.times()[:4]) - before
        return result


def measured(tree: Path, test_file: str, folders: list[str]) -> dict:
    """Seconds of CPU of each test of a file that passes, and which tests run which lines of the folders: by file and
    line."""
    traced = coverage.Coverage(data_file=None, config_file=False, source=[str(tree / folder) for folder in folders])
    plugin = _Traced(traced)
    traced.start()
    _pytest(tree, [test_file], plugin=plugin)
    traced.stop()
    data = traced.get_data()
    lines = {
        str(Path(file).relative_to(tree)): {
            line: [name for name in names if name and name not in plugin.failed]
            for line, names in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return {"seconds": {name: s for name, s in plugin.seconds.items() if name not in plugin.failed}, "lines": lines}


def seen(tree: Path, file: str, text: str, tests: list[str]) -> str:
    """The first of the tests that fails after an edit, or nothing."""
    path = tree / file
    before = path.read_text()
    plugin = _Seen()
    try:
        _replace(path, text)
        for some in (tests[:FIRST], tests[FIRST:]):  # most edits are seen before many files of tests are imported
            if some and _pytest(tree, some, "-x", plugin=plugin) != pytest.ExitCode.OK:
                return next(iter(plugin.failed), "while the tests were imported")
    finally:
        _replace(path, before)
    return ""


def _replace(path: Path, text: str) -> None:
    """Python takes compiled code for up to date by size and second, which an edit may leave as they were."""
    path.write_text(text)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()
