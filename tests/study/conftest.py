import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from finished_run import finished, shared
from repository import Repository, environment

import polysem

__all__ = ["finished", "shared"]


@pytest.fixture(scope="session")
def study(finished) -> "polysem.Study":
    """The study of the finished quick preset. Not to be changed."""
    return polysem.open(finished / "results")


@pytest.fixture(scope="session")
def site(study) -> "polysem.Site":
    """Its language model's site."""
    return study["stories-1l"]["blocks.0.mlp.hook_post"]


@pytest.fixture
def results(finished, tmp_path) -> Path:
    """A copy of the finished results in a folder of its own, to do with as one likes."""
    folder = tmp_path / "copied/results"
    shutil.copytree(finished / "results", folder)
    return folder


@pytest.fixture
def copied(finished, tmp_path) -> Repository:
    """A copy of the finished repository with its cache."""
    return finished.copy(tmp_path / "repository")


@pytest.fixture
def inside(monkeypatch) -> Callable[[Repository], None]:
    """Makes this process stand in a repository, with the settings that its own commands run under."""

    def enter(repository: Repository) -> None:
        monkeypatch.chdir(repository.folder)
        for name, value in environment(repository.folder).items():
            monkeypatch.setenv(name, value)

    return enter
