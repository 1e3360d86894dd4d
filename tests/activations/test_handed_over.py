"""Stores that the job of one site makes for those of others."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_activations import CONTEXT, SITE, kernels, model, scaled, tokens, write_arrays
from test_left_out import RESIDUAL, loud

from polysem.activations import extraction as extraction_module
from polysem.activations import sequences as sequences_module
from polysem.activations.extract_activations import extract_activations
from polysem.activations.handed_over import place_of, turn, write_waiting
from polysem.io import atomic
from polysem.io.caches import read_cache
from polysem.io.errors import InputError
from polysem.io.stores import read_receipt, receipt_path
from polysem.models.classifier import ClassifierSubject, Perceptron, save
from polysem.models.language import LanguageSubject
from polysem.models.record_model import record_model

OUT = "blocks.0.hook_mlp_out"
SITES = (SITE, OUT, RESIDUAL)
__all__ = ["kernels", "loud", "model", "tokens"]


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    """Sites are full behind different batches."""
    monkeypatch.setattr(sequences_module, "BATCH_TOKENS", 4 * CONTEXT)


@pytest.fixture
def passes(monkeypatch) -> list[list[str]]:
    """The sites of every forward pass."""
    asked: list[list[str]] = []
    for subject in (LanguageSubject, ClassifierSubject):

        def visit(self, batch, sites, take, *, inputs=False, really=subject.visit):
            asked.append(list(sites))
            really(self, batch, sites, take, inputs=inputs)

        monkeypatch.setattr(subject, "visit", visit)
    return asked


class Jobs:
    """The jobs of a run that are for the sites of one model and one split."""

    def __init__(self, folder: Path, sites=SITES, **options: Any) -> None:
        self.options = {"limit": 1500, "dtype": "float32", "code": "abc", "inputs": True} | options
        self.stores = {site: folder / site / "eval.zarr" for site in sites}
        self.list = folder / "waiting/eval.json"
        write_waiting(self.list, self.stores)

    def run(self, site: str, **options: Any) -> Path:
        extract_activations(site=site, output=self.stores[site], waiting=self.list, **(self.options | options))
        return self.stores[site]

    def left(self) -> set[str]:
        return set(read_cache(self.list))


@pytest.fixture
def jobs(loud, tokens, tmp_path) -> Callable[..., Jobs]:
    return lambda name="run", **options: Jobs(tmp_path / name, model=loud, tokens=tokens, **options)


def contents(store: Path) -> dict[str, bytes]:
    files = [file for file in (receipt_path(store), *store.rglob("*")) if file.is_file()]
    return {file.relative_to(store.parent).as_posix(): file.read_bytes() for file in files}


def alone(jobs: Jobs, site: str, folder: Path) -> dict[str, bytes]:
    """What a job makes that nobody else makes anything for."""
    store = folder / site / "eval.zarr"
    extract_activations(site=site, output=store, **jobs.options)
    return contents(store)


@pytest.mark.parametrize("limit", [1500, 10**6])
def test_the_first_job_makes_all_stores_in_one_pass_with_the_bytes_of_passes_of_their_own(
    jobs, passes, tmp_path, capsys, limit
):
    run = jobs(limit=limit)
    run.run(OUT)
    for site in (SITE, RESIDUAL):
        assert not run.stores[site].exists() and place_of(run.stores[site]).is_dir()
    made, first = len(passes), [line for line in capsys.readouterr().err.splitlines() if "pass" in line]
    assert first[0].startswith("one pass for ") and all(site in first[0] for site in SITES)
    atomic.PLACED.clear()
    for site in (RESIDUAL, SITE):
        store = run.run(site)
        assert list(atomic.PLACED) == [store, receipt_path(store)]
        assert atomic.PLACED[store] == read_receipt(store)["sha256"]
        assert "massive, with a norm above" in capsys.readouterr().err.splitlines()[-1]
        atomic.PLACED.clear()
    assert len(passes) == made and set(passes[0]) == set(SITES)
    assert run.left() == set() and not list(tmp_path.rglob("handed-over"))
    rows = {read_receipt(store)["arrays"]["activations"]["shape"][0] for store in run.stores.values()}
    assert len(rows) == (1 if limit == 1500 else 2), "sites leave out different tokens"
    for site in SITES:
        assert contents(run.stores[site]) == alone(run, site, tmp_path / "alone")


def test_what_a_job_makes_for_others_is_no_output_of_it(jobs):
    atomic.PLACED.clear()
    store = jobs().run(SITE)
    assert list(atomic.PLACED) == [store, receipt_path(store)]


def test_a_job_without_a_list_runs_the_model_for_its_site_alone(jobs, passes):
    run = jobs()
    run.list.unlink()
    run.run(SITE)
    assert {tuple(sites) for sites in passes} == {(SITE,)}
    assert not place_of(run.stores[RESIDUAL]).exists()


def test_a_site_that_is_not_on_the_list_is_left_as_it_is(jobs):
    run = jobs(sites=(SITE, OUT))
    old = run.stores[SITE].parents[1] / RESIDUAL / "eval.zarr"
    old.mkdir(parents=True)
    run.run(SITE)
    assert old.is_dir() and not place_of(old).exists()


def test_an_old_store_makes_room_for_that_which_takes_its_place(jobs):
    run = jobs()
    old = run.stores[RESIDUAL]
    old.mkdir(parents=True)
    receipt_path(old).touch()
    run.run(SITE)
    assert not old.exists() and not receipt_path(old).exists()


def edit(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "other"}))


def other_tokens(run: Jobs) -> Path:
    return write_arrays(
        run.list.parent / "other.zarr",
        {"kind": "text", "context_length": CONTEXT},
        ids=np.full((4, CONTEXT), 5, np.int32),
        length=np.full(4, CONTEXT, np.int32),
        counted=np.ones((4, CONTEXT), bool),
    )


def fold(model: Path) -> None:
    record_model(model, "language", {"context_length": CONTEXT, "processing": {"fold_ln": True}}, {})


OTHER_OPTIONS: dict[str, Callable[[Jobs], dict[str, Any]]] = {
    "limit": lambda run: {"limit": 1400},
    "dtype": lambda run: {"dtype": "float16"},
    "code": lambda run: {"code": "def"},
    "leave-out": lambda run: {"leave_out": "none"},
    "inputs": lambda run: {"inputs": False},
    "train-tokens": lambda run: {"train_tokens": other_tokens(run)},
}
OTHER_FILES: dict[str, Callable[[Jobs, Path], object]] = {
    "model": lambda run, made: fold(run.options["model"]),
    "tokens": lambda run, made: edit(receipt_path(run.options["tokens"])),
    "chunk": lambda run, made: (made / "activations/c/0/0").write_bytes(bytes(1024 * 8 * 4)),
    "receipt": lambda run, made: edit(receipt_path(made)),
    "torn-note": lambda run, made: made.with_suffix(".note.json").write_text("{"),
    "no-note": lambda run, made: made.with_suffix(".note.json").unlink(),
    "no-store": lambda run, made: shutil.rmtree(made),
    "no-receipt": lambda run, made: receipt_path(made).unlink(),
    "partial": lambda run, made: made.rename(made.with_name(f"{made.name}.partial")),
}


def assert_not_taken(run: Jobs, passes: list[list[str]], folder: Path) -> None:
    made, before = place_of(run.stores[RESIDUAL]), len(passes)
    store = run.run(RESIDUAL)
    assert RESIDUAL in passes[before]
    assert contents(store) == alone(run, RESIDUAL, folder / "alone")
    assert not made.exists() and not made.with_name(f"{made.name}.partial").exists()


@pytest.mark.parametrize("options", OTHER_OPTIONS.values(), ids=OTHER_OPTIONS.keys())
def test_a_store_that_was_made_under_other_options_is_not_taken_over(jobs, passes, tmp_path, options):
    run = jobs()
    run.run(SITE)
    run.options |= options(run)
    assert_not_taken(run, passes, tmp_path)


@pytest.mark.parametrize("change", OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_a_store_that_is_damaged_or_of_other_files_is_not_taken_over(jobs, passes, tmp_path, change):
    run = jobs()
    run.run(SITE)
    change(run, place_of(run.stores[RESIDUAL]))
    assert_not_taken(run, passes, tmp_path)


def test_a_store_that_another_version_of_a_library_made_is_not_taken_over(jobs, passes, monkeypatch):
    run = jobs()
    run.run(SITE)
    before = len(passes)
    monkeypatch.setattr(extraction_module, "version", lambda library: "0.0")
    run.run(RESIDUAL)
    assert RESIDUAL in passes[before]


def test_a_job_that_was_killed_between_store_and_receipt_makes_its_store_itself(jobs, tmp_path):
    run = jobs()
    run.run(SITE)
    store, made = run.stores[RESIDUAL], place_of(run.stores[RESIDUAL])
    made.with_suffix(".note.json").unlink()
    made.rename(store)
    assert contents(run.run(RESIDUAL)) == alone(run, RESIDUAL, tmp_path / "alone")
    assert not receipt_path(made).exists()


def test_what_was_handed_over_before_a_kill_is_not_made_again(jobs, passes):
    """The first job ends behind its pass and before its list says so; the next run starts with the same list."""
    run = jobs()
    run.run(SITE)
    write_waiting(run.list, run.stores)
    shutil.rmtree(place_of(run.stores[OUT]))
    before = len(passes)
    run.run(SITE)
    assert set(passes[before]) == {OUT, SITE}
    assert place_of(run.stores[RESIDUAL]).is_dir()


@pytest.mark.parametrize("first", [SITE, RESIDUAL])
def test_a_number_that_does_not_fit_at_one_site_leaves_the_others_their_stores(
    model,
    tokens,
    passes,
    tmp_path,
    capsys,
    first,
):
    fits = RESIDUAL
    run = Jobs(tmp_path / "run", (SITE, fits), model=scaled(model, 1e5), tokens=tokens, dtype="float16")
    refused = pytest.raises(InputError, match=r"an activation of \S+ at blocks\.0\.mlp\.hook_post does not fit into")
    if first == fits:
        run.run(fits)
        said = capsys.readouterr().err
        assert "not made for the job of blocks.0.mlp.hook_post: an activation of" in said
        with refused:
            run.run(SITE)
    else:
        with refused:
            run.run(SITE)
        before = len(passes)
        run.run(fits)
        assert len(passes) == before
    assert contents(run.stores[fits]) == alone(run, fits, tmp_path / "alone")
    assert not run.stores[SITE].exists() and not list((tmp_path / "run").rglob("*.partial"))


def test_layers_of_a_classifier_share_a_pass(passes, tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "models/mlp"
    folder.mkdir(parents=True)
    save(Perceptron([4, 8, 6, 3], "relu"), [4, 8, 6, 3], "relu", folder)
    record_model(folder, "classifier", {}, {})
    pixels = np.random.default_rng(0).random((700, 4), dtype=np.float32)
    images = write_arrays(
        tmp_path / "images.zarr", {"kind": "images", "classes": 3}, pixels=pixels, labels=np.zeros(700, np.int32)
    )
    sites = ("layers.0.hook_post", "layers.1.hook_post")
    run = Jobs(tmp_path / "run", sites, model=folder, tokens=images)
    run.run(sites[0])
    before = len(passes)
    run.run(sites[1])
    assert len(passes) == before
    for site in sites:
        assert contents(run.stores[site]) == alone(run, site, tmp_path / "alone")


def test_jobs_of_one_list_take_turns(tmp_path, capfd):
    file, entered = tmp_path / "m/train.json", threading.Event()

    def wait() -> None:
        with turn(file):
            entered.set()

    waiting = threading.Thread(target=wait)
    with turn(file):
        waiting.start()
        assert not entered.wait(0.3)
    waiting.join(10)
    assert entered.is_set()
    assert "waiting for the job that runs the model for several sites" in capfd.readouterr().err


def test_a_job_that_takes_its_store_over_imports_no_torch():
    loaded = "import sys, polysem.activations.extract_activations; print({'torch', 'transformers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
