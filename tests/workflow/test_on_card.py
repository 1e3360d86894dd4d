"""All steps that take a device, on a card that is pretended where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import on_card
import pytest
import xarray as xr
import zarr
from repository import ROOT, environment
from safetensors import safe_open

from polysem.workflow.running.steps import STEPS

pytestmark = pytest.mark.workflow

SKIPPED = {
    "logs/measure_dictionary/stories-1l/blocks.0.mlp.hook_post/topk-x4.log",
    "logs/measure_neurons/digits/layers.0.hook_post/neurons.log",
}
"""Jobs that take ways which others take: tables of another SAE of the site, and of neurons of another model."""


def card_of(log: Path) -> str:
    """What stands beside the log of a job as the card that it had."""
    return log.with_suffix(".tsv").read_text().split("\t")[-1].strip()


@pytest.fixture(scope="module")
def jobs(finished) -> dict[str, str]:
    """Rules by the logs of their jobs."""
    return {log: rule for log, (rule, _) in on_card.commands(finished.folder).items() if log not in SKIPPED}


@pytest.fixture(scope="module")
def card(finished, jobs, tmp_path_factory):
    """The finished run, its steps run again on the card."""
    copy = finished.copy(tmp_path_factory.mktemp("card") / "repository")
    arguments = [sys.executable, on_card.__file__, str(copy.folder), *jobs]
    variables = {"PYTHONPATH": "src", "OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    done = subprocess.run(
        arguments, env=environment(copy.folder) | variables, cwd=copy.folder, capture_output=True, text=True
    )
    failed = {log: (copy / log).read_text()[-2000:] for log in done.stdout.split()}
    assert not done.returncode and not failed, f"{done.stderr}{failed}"
    return copy


def test_every_step_that_takes_a_device_runs_on_it(finished, jobs, card):
    sources = {name: ROOT / f"src/{module.replace('.', '/')}.py" for name, module in STEPS.items()}
    take = {name for name, source in sources.items() if "device: Device" in source.read_text()}
    assert all("auto" in arguments for _, arguments in on_card.commands(finished.folder).values())
    ran = {on_card.commands(finished.folder)[log][1][0] for log in jobs}
    assert ran == take - {"recover_features"}  # which trains as train_sae does, and has a test of its own
    assert {card_of(card / log) for log in jobs} == {card_of(card / next(iter(jobs)))} != {"-"}


def test_tables_hold_what_they_hold_on_a_cpu(finished, card):
    renewed = 0
    for path in sorted((finished / "results/tables").rglob("*.nc")):
        other = card / str(path.relative_to(finished.folder))
        renewed += other.stat().st_mtime != path.stat().st_mtime
        with xr.open_dataset(path) as wanted, xr.open_dataset(other) as found:
            for name in wanted.variables:
                if wanted[name].dtype.kind == "f":
                    np.testing.assert_allclose(found[name], wanted[name], 1e-4, 1e-5, err_msg=f"{name} of {path}")
                else:
                    np.testing.assert_array_equal(found[name], wanted[name], err_msg=f"{name} of {path}")
    assert renewed > 50


def test_activations_are_those_of_a_cpu(finished, card):
    stores = sorted((finished / "results/activations").rglob("*.zarr"))
    assert len(stores) == 4
    for path in stores:
        name = str(path.relative_to(finished.folder))
        wanted, found = (zarr.open_group(of / name, mode="r") for of in (finished, card))
        for kept, array in wanted.arrays():
            np.testing.assert_allclose(found[kept][:], array[:], 1e-3, 1e-4)


def test_trainings_go_the_way_of_a_cpus(finished, card):
    for path in sorted((finished / "results/saes").rglob("training.nc")):
        with xr.open_dataset(path) as wanted, xr.open_dataset(card / str(path.relative_to(finished.folder))) as found:
            for name, apart in {"explained_variance": 0.01, "L0": 0.5}.items():
                np.testing.assert_allclose(found[name], wanted[name], atol=apart)
    weights = sorted((finished / "results/models").rglob("model.safetensors"))
    assert len(weights) == 2
    for path in weights:
        with safe_open(path, "pt") as wanted, safe_open(card / str(path.relative_to(finished.folder)), "pt") as found:
            for name in wanted.keys():  # noqa: SIM118
                ours, theirs = found.get_tensor(name), wanted.get_tensor(name)
                assert (ours - theirs).norm() <= 1e-3 * theirs.norm(), name


def test_what_was_made_on_a_card_says_so_and_names_it_nowhere(card, jobs):
    def said(path: str) -> dict[str, object]:
        return json.loads((card / f"results/{path}").read_text())

    on = {"device": "cuda", "precision": "float32"}
    assert on.items() <= said("activations/stories-1l/blocks.0.mlp.hook_post/eval.json").items()
    config = said("saes/stories-1l/blocks.0.mlp.hook_post/l1-x4/cfg.json")
    assert config["device"] == config["metadata"]["device"] == "cuda"
    assert config["metadata"]["precision"] == "bfloat16"
    assert on.items() <= said("tables/stories-1l/blocks.0.mlp.hook_post/l1-x4.json")["artifacts"]["frequency"].items()
    assert on.items() <= said("tables/stories-1l/ablation.nc.json")["artifacts"]["ablation"].items()
    assert "device" not in said("tables/stories-1l/rubric.nc.json")["artifacts"]["rubric"]
    for name in ("stories-1l", "digits"):
        with safe_open(card / f"results/models/{name}/model.safetensors", "pt") as file:
            assert on.items() <= file.metadata().items()
    name = card_of(card / next(iter(jobs)))
    assert not [path for path in (card / "results").rglob("*.json") if name in path.read_text()]


def test_the_variable_that_said_it_before_is_refused_and_not_ignored(blank):
    said = blank.snakemake("--dry-run", fails=True, POLYSEM_DEVICE="cuda")
    assert "error: POLYSEM_DEVICE is not read any more; unset it, and say `device: cuda` or `cpu` in the" in said
