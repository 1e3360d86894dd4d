from functools import partial

import pytest
from finished_run import QUICK, shared, with_few_figures
from finished_run import finished as whole
from repository import Repository, plant

__all__ = ["shared", "whole"]


@pytest.fixture(scope="session")
def finished(whole, shared) -> Repository:
    """The finished run with few figures. Not to be changed; `whole` has all of them."""
    return shared("few_figures", partial(with_few_figures, whole))


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
