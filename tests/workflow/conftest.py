import pytest
from finished_run import QUICK, finished, shared
from repository import Repository, plant

__all__ = ["finished", "shared"]


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
