"""One pass of a model for all stores that a run has to make, and no job for those that there are."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from repository import Repository

from polysem.activations.handed_over import place_of, write_waiting
from polysem.workflow.running.extractions import LIST

pytestmark = pytest.mark.workflow

MODEL = "stories-1l"
OLD, *NEW = ("blocks.0.mlp.hook_post", "blocks.0.hook_mlp_out", "blocks.0.hook_resid_post")
SITES = f"sites: [{OLD}]"


def stores(repository: Repository, site: str) -> dict[str, tuple[bytes, int]]:
    """Bytes and dates of all files of a site's stores and receipts."""
    folder = repository / f"results/activations/{MODEL}/{site}"
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def passes(repository: Repository, jobs: set[str]) -> list[tuple[str, set[str]]]:
    """The passes that jobs ran, by the split and the sites."""
    found = []
    for job in jobs:
        lines = (repository / f"logs/{job}.log").read_text().splitlines()
        said = [line.partition(":")[0].removeprefix("one pass for ") for line in lines if line.startswith("one pass")]
        found += [(job.rpartition("/")[2], set(sites.split(", "))) for sites in said]
    return sorted(found, key=lambda one: one[0])


def extractions(*sites: str, splits: tuple[str, ...] = ("train", "eval")) -> set[str]:
    return {f"extract_activations/{MODEL}/{site}/{split}" for site in sites for split in splits}


def test_a_new_site_or_a_deleted_store_runs_one_pass_and_starts_no_job_of_the_stores_that_are_there(repository):
    before = stores(repository, OLD)
    repository.edit("params.yaml", SITES, f"sites: [{OLD}, {', '.join(NEW)}]")
    plan = repository.plan()
    trained = plan.matching(f"extract_activations/{MODEL}/*", f"train_sae/{MODEL}/*", "*/digits/*")
    assert {job for job in plan.pending & trained if OLD in job or "digits" in job} == set()
    with repository.executed() as ran:
        repository.snakemake("--until", "extract_activations")
    assert ran == extractions(*NEW)
    assert passes(repository, ran) == [("eval", set(NEW)), ("train", set(NEW))]
    assert stores(repository, OLD) == before
    assert not list((repository / "results").rglob("handed-over"))

    made = stores(repository, NEW[0])
    shutil.rmtree(repository / f"results/activations/{MODEL}/{NEW[0]}/train.zarr")
    again = extractions(NEW[0], splits=("train",))
    assert repository.plan().pending & extractions(OLD, *NEW) == again
    there = Path(f"results/activations/{MODEL}/{OLD}/train.zarr")
    write_waiting(repository / LIST.format(model=MODEL, split="train"), {OLD: there})  # of an earlier run
    with repository.executed() as ran:
        repository.snakemake("--until", "extract_activations", "--no-hooks")
    assert ran == again
    assert passes(repository, ran) == [("train", {NEW[0]})]
    kept = {file: said for file, said in made.items() if file.startswith("eval")}
    assert kept.items() <= stores(repository, NEW[0]).items()
    bytes_of = {file: said[0] for file, said in stores(repository, NEW[0]).items()}
    assert bytes_of == {file: said[0] for file, said in made.items()}
    assert stores(repository, OLD) == before


def test_what_a_killed_run_handed_over_is_taken_by_the_next_and_what_nobody_takes_is_removed(repository):
    places = {site: Path(f"results/activations/{MODEL}/{site}/train.zarr") for site in (OLD, NEW[0])}
    repository.edit("params.yaml", SITES, f"sites: [{OLD}, {NEW[0]}]")
    waiting = "__import__('time').sleep(0 if Path('fast').exists() else 600)"
    repository.edit(
        "src/polysem/activations/extract_activations.py",
        "    if refusal:\n",
        f"    {waiting}\n    if refusal:\n",
    )
    targets = [str(place.with_suffix(".json")) for place in places.values()]
    run = repository.start("--cores", "1", "--", *targets)
    notes = {site: place_of(repository / place).with_suffix(".note.json") for site, place in places.items()}
    end = time.monotonic() + 240
    while not any(note.exists() for note in notes.values()):
        assert time.monotonic() < end and run.poll() is None
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    (taken,) = (site for site, note in notes.items() if note.exists())
    (killed,) = notes.keys() - {taken}
    left = place_of(repository / f"results/activations/{MODEL}/{taken}/eval.zarr")
    left.mkdir()
    (repository / "fast").touch()
    with repository.executed() as ran:
        repository.snakemake("--cores", "1", "--", *targets)
    assert extractions(OLD, NEW[0], splits=("train",)) <= ran
    assert passes(repository, extractions(OLD, NEW[0], splits=("train",))) == [("train", {killed})]
    assert not list((repository / "results").rglob("handed-over"))
