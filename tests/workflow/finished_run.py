"""The quick preset as one finished run, which the tests of several folders look at."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from repository import ROOT, Repository, leave_few_figures, plant

from polysem.workflow.running.warm import FOLDER

QUICK = (ROOT / "presets/quick.yaml").read_text()


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], Repository]], Repository]:
    """Builds a repository once per session, for all processes of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    common = base if worker_id == "master" else base.parent

    def build_once(name: str, build: Callable[[Path], Repository]) -> Repository:
        folder, done = common / name, common / f"{name}.done"
        with FileLock(common / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                build(folder)
                done.touch()
        return Repository(folder)

    return build_once


@pytest.fixture(scope="session")
def finished(shared) -> Repository:
    """The quick preset, run with Snakemake, committed to DVC and git, pushed to a remote. Not to be changed."""

    return shared("finished", run_quick_preset)


def run_quick_preset(folder: Path) -> Repository:
    """Plant the sources in a folder and make everything."""
    repository = plant(folder, QUICK)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("Sources")
    repository.dvc("remote", "add", "--default", "nearby", str(folder.parent / "remote"))
    repository.snakemake(**{FOLDER: ""})  # with warm processes of its own, as users have it
    repository.dvc("commit", "--force")
    repository.commit("Quick run")
    repository.dvc("push")
    return repository


def with_few_figures(finished: Repository, folder: Path) -> Repository:
    """The finished run with a few figures, drawn, committed and pushed like all of them."""
    repository = finished.copy(folder)
    leave_few_figures(folder / "src/polysem")
    repository.commit("Few figures")
    repository.snakemake()
    repository.dvc("commit", "--force")
    repository.commit("Run with few figures")
    repository.dvc("push")
    return repository
