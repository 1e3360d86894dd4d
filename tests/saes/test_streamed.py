"""Training on activations that are made as they are needed."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from polysem.activations.extract_activations import extract_activations
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model
from polysem.saes.sources import streamed
from polysem.saes.sources.stored import StoredRows
from polysem.saes.sources.streamed import ModelRows, Stream
from polysem.saes.train_sae import train_sae

SITE = "blocks.0.mlp.hook_post"
CONTEXT = 16
CONFIG = {
    "d_model": 8,
    "d_head": 4,
    "n_heads": 2,
    "n_layers": 1,
    "n_ctx": CONTEXT,
    "d_vocab": 50,
    "d_mlp": 16,
    "act_fn": "relu",
    "normalization_type": "LN",
    "seed": 0,
}
ROW_BYTES = 16 * 4
BATCH = 20


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    monkeypatch.setattr(streamed, "MODEL_TOKENS", 5 * CONTEXT)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def tokens(tmp_path) -> Path:
    draw = np.random.default_rng(0)
    ids = draw.integers(0, 50, (90, CONTEXT), dtype=np.int32)
    length = draw.integers(1, CONTEXT + 1, 90, dtype=np.int32)
    counted = (np.arange(CONTEXT) > 0) & (np.arange(CONTEXT) < length[:, None]) & (ids != 7)
    path = tmp_path / "tokens/train.zarr"
    attributes = {"kind": "text", "context_length": CONTEXT}
    with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
        for name, values in {"ids": ids, "length": length, "counted": counted}.items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "models/m"
    folder.mkdir(parents=True)
    save_native(bridge_of(new_model(CONFIG)), CONFIG, folder)
    record_model(folder, "language", {"context_length": CONTEXT, "processing": {}}, {})
    return folder


def recipe(buffer_rows=120, seed=0):
    return SimpleNamespace(target=None, batch_size=BATCH, seed=seed, buffer_gib=buffer_rows * ROW_BYTES / 2**30)


def opened(model, tokens, **keys):
    return ModelRows(recipe(**keys), model, tokens, SITE, "float32", "cpu")


def by_content(rows):
    """How often each row occurs, to 4 places: other batches of the model round otherwise."""
    found, counts = np.unique(np.round(rows, 4) + 0.0, axis=0, return_counts=True)
    return {row.tobytes(): count for row, count in zip(found, counts, strict=True)}


@pytest.fixture
def every_row(model, tokens, tmp_path) -> np.ndarray:
    path = tmp_path / "activations/train.zarr"
    extract_activations(model, tokens, SITE, path, 10**6, "float32", "")
    rows = ActivationRows(path)
    return rows.slice(0, rows.length)


def test_an_epoch_of_the_stream_holds_every_token_once(model, tokens, every_row):
    stream = Stream(load_subject(model), TokenStore(tokens), SITE, 0)
    assert stream.length == len(every_row)
    for epoch in (0, 1):
        rows = torch.cat(list(stream.rows(epoch * stream.length, (epoch + 1) * stream.length)))
        assert by_content(rows.numpy()) == by_content(every_row)
    first, second = (torch.cat(list(stream.rows(start, start + 50))) for start in (0, stream.length))
    assert not torch.equal(first, second)


def test_batches_use_each_token_as_often_as_the_stream_holds_it(model, tokens):
    source = opened(model, tokens)
    half = 40 // BATCH
    windows = 6
    steps = half + 2 * half * (windows - 1)
    used = torch.cat([source.batch(step) for step in range(steps)])
    stream = Stream(load_subject(model), TokenStore(tokens), SITE, 0)
    read = torch.cat(list(stream.rows(0, windows * 80)))
    found, there = by_content(used.numpy()), by_content(read.numpy())
    assert all(there.get(row, 0) >= count for row, count in found.items())
    assert len(used) == len(read) - 40  # half of the last generation still waits


def test_a_window_mixes_two_generations_in_equal_parts(model, tokens):
    source = opened(model, tokens)
    steps = range(2 + 4, 2 + 8)  # window 2
    used = torch.cat([source.batch(step) for step in steps])
    stream = Stream(load_subject(model), TokenStore(tokens), SITE, 0)
    old, new = (by_content(torch.cat(list(stream.rows(start, start + 80))).numpy()) for start in (80, 160))
    rows = [row.tobytes() for row in np.round(used.numpy(), 4) + 0.0]
    only_old, only_new = sum(row in old and row not in new for row in rows), sum(row in new for row in rows)
    assert only_old + only_new == len(rows) == 80
    assert 30 <= only_new <= 50
    front = rows[:40]
    assert 5 < sum(row in new for row in front) < 35


def test_rows_depend_on_the_seed_and_the_step_alone(model, tokens):
    through = opened(model, tokens)
    wanted = [through.batch(step) for step in range(25)]
    for step in (0, 1, 3, 9, 24):
        assert torch.equal(opened(model, tokens).batch(step), wanted[step])
    assert not torch.equal(opened(model, tokens, seed=1).batch(3), wanted[3])


def test_a_buffer_that_holds_no_two_batches_is_refused(model, tokens):
    with pytest.raises(InputError, match="buffer_gib holds 50 rows of 16 neurons; it needs 60"):
        opened(model, tokens, buffer_rows=50)


RECIPE = {"architecture": "topk", "k": 3, "expansion": 2, "tokens": 40_000, "batch_size": 100, "learning_rate": 5e-3}


def test_stored_and_streamed_training_are_of_equal_quality_on_the_same_tokens(
    model, tokens, every_row, tmp_path, monkeypatch
):
    from polysem.io.tables import read_table

    monkeypatch.chdir(tmp_path)
    rows = {"model": str(model), "tokens": str(tokens), "site": SITE, "dtype": "float32", "leave_out": "massive"}
    keys = {"activations": "streamed", "buffer_gib": 400 * ROW_BYTES / 2**30}
    train_sae(rows, tmp_path / "streamed", "topk", RECIPE | keys, "code")
    train_sae({"store": str(tmp_path / "activations/train.zarr")}, tmp_path / "stored", "topk", RECIPE, "code")
    explained = {
        name: float(read_table(tmp_path / name / "training.nc")["explained_variance"][-20:].mean())
        for name in ("streamed", "stored")
    }
    assert explained["stored"] > 0.8
    assert explained["streamed"] == pytest.approx(explained["stored"], abs=0.02)


def test_stored_rows_are_a_source_as_well(every_row, tmp_path):
    source = StoredRows(tmp_path / "activations/train.zarr", BATCH, 0)
    assert source.batch(0).shape == (BATCH, 16)
