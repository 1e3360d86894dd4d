import json
from functools import partial

import pytest
from finished_run import QUICK, shared, with_few_figures
from finished_run import finished as whole
from repository import OTHER_K, Repository, plant

__all__ = ["shared", "whole"]

NOTED = "stories-1l/blocks.0.mlp.hook_post/topk-x4"
"""The SAE of which `changed` has notes."""


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


@pytest.fixture(scope="session")
def changed(finished, shared) -> Repository:
    """A fresh clone that pulled, got a star and a label, changed one param and ran. `.git/executed.json` lists the
    jobs, `.git/noted.json` has the feature, which had no sheet. Not to be changed."""

    def build(folder):
        clone = finished.clone(folder)
        clone.dvc("pull")
        clone.git("checkout", "--quiet", "-b", "other")
        sheets = clone / f"results/report/sheets/{NOTED}"
        feature = next(number for number in range(256) if not (sheets / f"{number}.html").exists())
        clone.polysem("notes", "add", NOTED, str(feature), "--author", "Ada", "--star", "--label", "dogs")
        clone.edit("params.yaml", *OTHER_K)
        with clone.executed() as ran:
            clone.snakemake()
        (clone / ".git/executed.json").write_text(json.dumps(sorted(ran)))
        (clone / ".git/noted.json").write_text(json.dumps(feature))
        clone.dvc("commit", "--force")
        clone.commit("Other k")

    return shared("changed", build)


@pytest.fixture
def blank(tmp_path) -> Repository:
    """The sources and the quick preset; nothing made yet, neither git nor DVC."""
    return plant(tmp_path / "blank", QUICK)
