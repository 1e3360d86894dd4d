"""Shards: what the own writer appends is what Zarr writes and reads, and what is torn is named."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr

from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK, SHARD_BYTES, Layout, ShardWriter, rows_per_shard
from polysem.io.stores import create_array, layout_of

SHARD = 4 * ROWS_PER_CHUNK
LAYOUT = Layout(np.dtype(np.float16), (3,), SHARD)


def append(file: Path, layout: Layout, rows: np.ndarray, size: int = 700) -> str:
    writer = ShardWriter(file, layout)
    for start in range(0, len(rows), size):
        writer.add(rows[start : start + size])
    return writer.finish()


@pytest.mark.parametrize("count", [1, 1024, 3000, 4096, 4097, 9000])
@pytest.mark.parametrize("width", [(), (3,)])
def test_shards_have_the_bytes_that_zarr_writes_and_zarr_reads_them_back(tmp_path, count, width):
    values = np.random.default_rng(0).random((count, *width)).astype(np.float16)
    values[:2500] = 0  # two chunks of zeros alone are written, too
    group = zarr.create_group(tmp_path / "s.zarr")
    dimensions = ("token", "neuron")[: values.ndim]
    theirs, ours = (
        create_array(group, name, values.shape, "float16", dimensions, compressed=False, shard_rows=SHARD)
        for name in ("theirs", "ours")
    )
    theirs[:] = values
    layout = layout_of(ours)
    assert layout == Layout(np.dtype(np.float16), width, SHARD)
    for shard in range(layout.shards(count)):
        part = values[shard * SHARD : (shard + 1) * SHARD]
        append(tmp_path / "s.zarr/ours" / layout.file(shard), layout, part)
        assert (tmp_path / "s.zarr/ours" / layout.file(shard)).read_bytes() == (
            tmp_path / "s.zarr/theirs" / layout.file(shard)
        ).read_bytes()
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s.zarr", mode="r")["ours"][:], values)


def test_a_shard_has_about_a_gigabyte_and_no_more_rows_than_its_array():
    assert rows_per_shard(2 * 10**9, 2048 * 2) == 262_144
    assert rows_per_shard(2 * 10**9, 2048 * 2) * 4096 == SHARD_BYTES
    assert -(-2 * 10**9 // 262_144) == 7630
    assert rows_per_shard(3000, 4096) == 3072
    assert rows_per_shard(1, 4) == rows_per_shard(5000, 2 << 30) == ROWS_PER_CHUNK


def test_a_writer_holds_a_chunk_in_memory(tmp_path):
    layout = Layout(np.dtype(np.float16), (2048,), 64 * ROWS_PER_CHUNK)
    rows = np.ones((ROWS_PER_CHUNK // 2, 2048), np.float16)
    tracemalloc.start()
    writer = ShardWriter(tmp_path / "shard", layout)
    for _ in range(32):
        writer.add(rows)
    writer.finish()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "shard").stat().st_size > 64 << 20
    assert held < 5 << 20


def test_more_rows_than_a_shard_has_room_for_are_refused(tmp_path):
    writer = ShardWriter(tmp_path / "shard", LAYOUT)
    writer.add(np.zeros((SHARD - 1, 3), np.float16))
    with pytest.raises(ValueError, match="2 rows do not go into a shard of 4096 that has 4095"):
        writer.add(np.zeros((2, 3), np.float16))
    writer.close()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    """A byte of the index."""
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, r"shard is torn: it has 18,400 bytes and not 18,500; delete the store and run again"),
        (flip, "shard is damaged: its index is not that of chunks one behind the other"),
        (Path.unlink, "shard is missing"),
    ],
)
def test_a_shard_that_is_not_whole_is_an_error_that_names_its_file(tmp_path, damage, said):
    append(tmp_path / "shard", LAYOUT, np.ones((3000, 3), np.float16))
    LAYOUT.require_whole(tmp_path / "shard", 3000)
    damage(tmp_path / "shard")
    with pytest.raises(InputError, match=said):
        LAYOUT.require_whole(tmp_path / "shard", 3000)


def test_an_array_that_does_not_lie_in_uncompressed_shards_is_refused():
    group = zarr.create_group({})
    plain = group.create_array("a", shape=(3000, 2), chunks=(1024, 2), dtype="float16", compressors=None)
    with pytest.raises(InputError, match="does not lie in uncompressed shards; delete its store and run again"):
        layout_of(plain)
    packed = group.create_array("b", shape=(3000, 2), chunks=(1024, 2), shards=(2048, 2), dtype="float16")
    with pytest.raises(InputError, match="does not lie in uncompressed shards"):
        layout_of(packed)
