import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from repository import ROOT, Repository, plant

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

    def build(folder: Path) -> Repository:
        repository = plant(folder, QUICK)
        repository.git("init", "--quiet", "--initial-branch", "main")
        repository.commit("Sources")
        repository.dvc("remote", "add", "--default", "nearby", str(folder.parent / "remote"))
        repository.snakemake()
        repository.dvc("commit", "--force")
        repository.commit("Quick run")
        repository.dvc("push")
        return repository

    return shared("finished", build)


@pytest.fixture
def repository(finished, tmp_path) -> Repository:
    """A copy of the finished repository, to do with as one likes."""
    return finished.copy(tmp_path / "repository")


@pytest.fixture
def clone(finished, tmp_path) -> Repository:
    """A fresh clone of the finished repository, after `dvc pull`."""
    fresh = finished.clone(tmp_path / "clone")
    fresh.dvc("pull")
    return fresh


@pytest.fixture
def blank(tmp_path) -> Repository:
    """The sources and the quick preset; nothing made yet, neither git nor DVC."""
    return plant(tmp_path / "blank", QUICK)
