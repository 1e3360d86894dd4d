"""Shards that are mapped when their rows are asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stored import write_rows

from polysem.activations import mapped_shards
from polysem.activations.rows import ActivationRows
from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK, ShardWriter
from polysem.io.stores import layout_of, open_store, partial_of, read_array, written_store
from polysem.params.study import section_class
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer

WIDTH = 2
CHUNK_BYTES = ROWS_PER_CHUNK * WIDTH * 2


@pytest.fixture
def store(tmp_path) -> tuple[Path, np.ndarray]:
    """Seven shards of two chunks, the last of which has one row."""
    values = np.random.default_rng(0).random((12 * ROWS_PER_CHUNK + 1, WIDTH)).astype(np.float16)
    path = tmp_path / "train.zarr"
    write_rows(path, np.array_split(values, 5), len(values), WIDTH, shard_bytes=2 * CHUNK_BYTES)
    return path, values.astype(np.float32)


def test_few_shards_are_mapped_at_once_whatever_rows_are_asked_for(store, monkeypatch):
    monkeypatch.setattr(mapped_shards, "MAPPED", 3)
    path, values = store
    rows, draw = ActivationRows(path), np.random.default_rng(1)
    for numbers in (draw.permutation(len(values)), np.arange(len(values)), draw.integers(0, len(values), 50)):
        np.testing.assert_array_equal(rows.gather(numbers), values[numbers])
        assert len(rows._shards._mapped) == 3
    rows.gather(np.array([0, 12 * ROWS_PER_CHUNK]))
    rows.gather(np.array([4 * ROWS_PER_CHUNK]))
    assert list(rows._shards._mapped) == [0, 6, 2], "the shard that was not asked for the longest is let go"


def test_nothing_is_mapped_before_rows_are_asked_for(store):
    rows = ActivationRows(store[0])
    assert not rows._shards._mapped
    rows.gather(np.array([3 * ROWS_PER_CHUNK]))
    assert list(rows._shards._mapped) == [1]


@pytest.mark.parametrize("read", [lambda rows: rows.slice(4000, 5000), lambda rows: rows.gather(np.array([4500]))])
def test_a_torn_shard_is_named_and_the_others_can_be_read(store, read):
    path, values = store
    shard = path / "activations/c/2/0"
    shard.write_bytes(shard.read_bytes()[:-1])
    rows = ActivationRows(path)
    with pytest.raises(InputError, match=r"activations/c/2/0 is torn: it has 8,227 bytes and not 8,228; delete the st"):
        read(rows)
    np.testing.assert_array_equal(rows.slice(0, 4096), values[:4096])
    np.testing.assert_array_equal(rows.gather(np.array([12 * ROWS_PER_CHUNK])), values[-1:])


def test_a_store_of_more_chunks_than_linux_lets_a_process_map_is_trained_on(tmp_path, monkeypatch):
    """70,000 chunks, where a process may have 65,530 maps, of few rows each; in 1,000 shards, of which 300 are mapped
    at once."""
    monkeypatch.setattr(mapped_shards, "MAPPED", 300)
    shards, chunks, size = 1000, 70_000, 16
    values = np.random.default_rng(0).standard_normal((chunks * size, WIDTH)).astype(np.float16)
    path, params = tmp_path / "train.zarr", {"site": "blocks.0.mlp.hook_post", "settings": {}}
    with written_store(path, attributes={}, params=params, code="", device="cpu") as group:
        inner, outer = (size, WIDTH), (len(values) // shards, WIDTH)
        kind = {"dtype": "float16", "compressors": None, "dimension_names": ("token", "neuron")}
        layout = layout_of(group.create_array("activations", shape=values.shape, chunks=inner, shards=outer, **kind))
        for number, rows in enumerate(np.split(values, shards)):
            writer = ShardWriter(partial_of(path) / "activations" / layout.file(number), layout)
            writer.add(rows)
            writer.finish()
    keys = {"architecture": "topk", "k": 1, "expansion": 4, "tokens": 40_960, "batch_size": 4096}
    source = StoredRows(path, 4096, 0)
    assert read_array(open_store(path), "activations").nchunks == chunks > 65_530
    trainer = Trainer(section_class("saes", "topk").model_validate(keys | {"learning_rate": 1e-2}), source)
    for _ in range(trainer.steps):
        trainer.advance()
    assert trainer.step == 10 and torch.isfinite(trainer.weights["W_dec"]).all()
    numbers = np.random.default_rng(1).integers(0, len(values), 5000)
    np.testing.assert_array_equal(source._rows.gather(numbers), values[numbers].astype(np.float32))
    assert sum(str(path) in line for line in Path("/proc/self/maps").read_text().splitlines()) == 300
