"""Runs of the quick preset and of small additions to it."""

import shutil

import pytest
from test_reruns import COLLECTING

pytestmark = pytest.mark.workflow

SITE = "digits/layers.0.hook_post"
RECIPE = """  tiny:
    architecture: topk
    k: [4]
    models: [digits]
    expansion: 2
    tokens: 2048
    batch_size: 256

analysis:"""


def test_the_quick_preset_makes_a_whole_report(finished):
    page = (finished / "results/report/index.html").read_text()
    for name in ("stories-1l", "digits", "l1-x4", "topk-x4", "neurons"):
        assert name in page
    assert finished.plan().pending == set()
    assert not list((finished / "results").rglob("*.partial"))
    assert finished.git("status", "--porcelain") == ""


def test_adding_a_recipe_and_then_a_grid_value_runs_only_their_jobs(repository):
    before = repository.digests()
    repository.edit("params.yaml", "analysis:", RECIPE)
    with repository.executed() as ran:
        repository.snakemake()
    plan = repository.plan()
    assert plan.pending == set()
    assert ran == plan.matching("*/tiny_k=4", *COLLECTING)
    after = repository.digests()
    assert {path for path in before if before[path] != after[path]} <= {
        path for path in after if path.startswith(("results/report/", "results/metrics.json"))
    }
    repository.edit("params.yaml", "k: [4]", "k: [4, 2]")
    plan = repository.plan()
    assert plan.pending == plan.matching("*/tiny_k=2", *COLLECTING)


def test_plotting_jobs_import_no_torch(repository):
    """Packages that stand in for them end every process that imports them, the Snakefile's among them."""
    shutil.rmtree(repository / f"results/figures/{SITE}/neurons")
    for name in ("results/metrics.json", "results/plots/digits/layers.0.hook_post/neurons/rank_frequency.csv"):
        (repository / name).unlink()
    for package in ("torch", "transformer_lens"):
        (repository / f"src/{package}.py").write_text(f"raise SystemExit('{package} was imported')\n")
    with repository.executed() as ran:
        repository.snakemake()
    assert ran == {f"draw_figures/{SITE}/neurons", *COLLECTING}
