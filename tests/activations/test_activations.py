"""Activation stores: extraction and reading."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import polysem
from polysem.activations.extract_activations import extract_activations
from polysem.activations.rows import ActivationRows
from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK
from polysem.io.stores import (
    create_array,
    hash_store,
    open_store,
    read_array,
    read_receipt,
    receipt_path,
    written_store,
)
from polysem.models.batches import TokenStore
from polysem.models.classifier import Perceptron, save
from polysem.models.load import load_subject
from polysem.models.native import bridge_of, new_model, save_native
from polysem.models.record_model import record_model

SITE = "blocks.0.mlp.hook_post"
CONTEXT = 32
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
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def kernels():
    """The step asks for deterministic kernels, for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


def write_arrays(path: Path, attributes: dict[str, Any], **arrays: np.ndarray) -> Path:
    with written_store(path, attributes=attributes, params={}, code="", device="cpu") as group:
        for name, values in arrays.items():
            dimensions = ("sequence", "position")[: values.ndim]
            create_array(group, name, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
    return path


@pytest.fixture
def tokens(tmp_path) -> Path:
    """170 sequences of different lengths, some tokens of which do not count."""
    draw = np.random.default_rng(0)
    ids = draw.integers(0, 50, (170, CONTEXT), dtype=np.int32)
    length = draw.integers(1, CONTEXT + 1, 170, dtype=np.int32)
    position = np.arange(CONTEXT)
    counted = (position > 0) & (position < length[:, None]) & (ids != 7)
    return write_arrays(
        tmp_path / "tokens/train.zarr",
        {"kind": "text", "context_length": CONTEXT},
        ids=ids,
        length=length,
        counted=counted,
    )


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "models/m"
    folder.mkdir(parents=True)
    save_native(bridge_of(new_model(CONFIG)), CONFIG, folder)
    record_model(folder, "language", {"context_length": CONTEXT, "processing": {}}, {})
    return folder


@pytest.fixture
def extracted(model, tokens, tmp_path) -> Callable[..., Path]:
    def make(name: str = "train", **options: Any) -> Path:
        known = {"site": SITE, "limit": 10**6, "dtype": "float32", "code": "abc"} | options
        output = tmp_path / "activations" / f"{name}.zarr"
        extract_activations(known.pop("model", model), known.pop("tokens", tokens), output=output, **known)
        return output

    return make


def by_hand(model: Path, tokens: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activations of every sequence alone, and the places of the tokens that count."""
    subject, store, rows, places = load_subject(model), TokenStore(tokens), [], []
    for sequence in range(store.sequences):
        batch = store.batch(sequence, sequence + 1)
        values = subject.activations(batch, subject.sites if not store.is_text else [SITE])
        for position in range(batch.counted.shape[1]):
            if batch.counted[0, position]:
                rows.append(next(iter(values.values()))[0, position].numpy())
                places.append((sequence, position))
    return np.stack(rows), *np.array(places).T


def test_a_gpu_extracts_what_a_cpu_does_and_the_same_bytes_twice(extracted, gpu):
    found, again, wanted = (extracted(name, device=device) for name, device in (("a", gpu), ("b", gpu), ("c", "cpu")))
    assert read_receipt(found)["sha256"] == read_receipt(again)["sha256"]
    assert [read_receipt(found)[key] for key in ("device", "precision")] == ["cuda", "float32"]
    values, expected = (read_array(open_store(path), "activations")[:] for path in (found, wanted))
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_rows_are_the_activations_of_the_tokens_that_count_in_their_order(extracted, model, tokens):
    group = open_store(extracted())
    rows, sequence, position = by_hand(model, tokens)
    assert len(rows) > 2 * ROWS_PER_CHUNK
    np.testing.assert_array_equal(read_array(group, "sequence")[:], sequence)
    np.testing.assert_array_equal(read_array(group, "position")[:], position)
    np.testing.assert_allclose(read_array(group, "activations")[:], rows, rtol=1e-5, atol=1e-6)
    assert dict(group.attrs) == {"site": SITE, "width": 16}


def test_half_precision_is_the_rounded_value(extracted):
    full, half = (read_array(open_store(extracted(dtype=dtype)), "activations")[:] for dtype in ("float32", "float16"))
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, full.astype(np.float16))


def test_eval_stores_keep_what_enters_the_neurons(extracted, model):
    store = extracted("eval", inputs=True)
    assert read_receipt(store)["arrays"]["inputs"] == {"shape": [ActivationRows(store).length, 8], "dtype": "float32"}
    assert read_receipt(store)["params"]["inputs"] is True
    rows, inputs = ActivationRows(store), ActivationRows(store, "inputs")
    assert (rows.length, inputs.width) == (inputs.length, 8)
    subject = load_subject(model)
    h, x = (torch.from_numpy(of.slice(0, rows.length)) for of in (inputs, rows))
    pre = h @ subject.input_weights(SITE).T + subject.bridge.b_in[0].detach()
    torch.testing.assert_close(pre.relu(), x)
    np.testing.assert_array_equal(x, ActivationRows(extracted()).slice(0, rows.length))
    half = ActivationRows(extracted("half", inputs=True, dtype="float16"), "inputs")
    np.testing.assert_array_equal(half.slice(0, 100), h[:100].numpy().astype(np.float16))


def test_stores_hold_no_inputs_unless_asked_or_where_nothing_enters(extracted):
    for store in (extracted(), extracted("out", site="blocks.0.hook_mlp_out", inputs=True)):
        assert "inputs" not in read_receipt(store)["arrays"]
        assert read_receipt(store)["params"]["inputs"] is False
        with pytest.raises(InputError, match="no array 'inputs'"):
            ActivationRows(store, "inputs")


@pytest.mark.parametrize(
    ("limit", "shard_bytes"),
    [(1, 1), (1023, 1 << 30), (1024, 1 << 17), (1025, 1), (2048, 1 << 17), (2400, 1 << 17), (2400, 1 << 30)],
)
def test_the_limit_takes_the_first_rows_in_shards_of_whole_chunks(extracted, limit, shard_bytes):
    store = extracted("some", limit=limit, shard_bytes=shard_bytes)
    every, some = ActivationRows(extracted()), ActivationRows(store)
    assert some.length == limit < every.length
    np.testing.assert_array_equal(some.slice(0, limit), every.slice(0, limit))
    np.testing.assert_array_equal(read_array(open_store(store), "activations")[:], every.slice(0, limit))
    chunks = -(-limit // ROWS_PER_CHUNK)
    together = {1: 1, 1 << 17: 2, 1 << 30: 3}[shard_bytes]
    shards = {f"{number}/0" for number in range(-(-chunks // together))}
    files = list((store / "activations/c").glob("*/0"))
    assert {file.relative_to(store / "activations/c").as_posix() for file in files} == shards
    index = 16 * min(together, chunks) + 4
    assert sum(file.stat().st_size - index for file in files) == chunks * ROWS_PER_CHUNK * 16 * 4
    assert read_array(open_store(store), "position").shape == (limit,)


def test_the_same_work_gives_the_same_receipt_and_other_work_another(extracted):
    receipts = {}
    for name, options in {
        "a": {},
        "b": {},
        "limit": {"limit": 100},
        "dtype": {"dtype": "float16"},
        "site": {"site": "blocks.0.hook_mlp_out"},
        "code": {"code": "def"},
    }.items():
        store = extracted(f"{name}/train", **options)
        receipts[name] = receipt_path(store).read_bytes()
        assert read_receipt(store)["sha256"] == hash_store(store)
    assert receipts["a"] == receipts["b"]
    assert len(set(receipts.values())) == 5


def test_the_receipt_says_under_which_settings_the_activations_were_made(extracted, model, tokens):
    receipt = read_receipt(extracted(limit=100))
    assert receipt["params"]["settings"] == {"context_length": CONTEXT, "processing": {}}
    assert (receipt["params"]["site"], receipt["params"]["limit"], receipt["device"]) == (SITE, 100, "cpu")
    assert set(receipt["versions"]) == {"numpy", "torch", "transformer_lens", "zarr"}
    assert receipt["params"]["weights"] == file_digest(model / "model.safetensors")
    before = receipt["params"]["model"]
    record_model(model, "language", {"context_length": CONTEXT, "processing": {"fold_ln": True}}, {})
    assert read_receipt(extracted(limit=100))["params"]["model"] != before


def scaled(model: Path, factor: float) -> Path:
    """The same model with louder neurons."""
    bridge = bridge_of(new_model(CONFIG))
    with torch.no_grad():
        for name, tensor in bridge.state_dict().items():
            if name == "blocks.0.mlp.in.weight":
                tensor.mul_(factor)
    save_native(bridge, CONFIG, model)
    record_model(model, "language", {"context_length": CONTEXT, "processing": {}}, {})
    return model


def test_an_activation_too_large_for_the_format_is_refused_and_leaves_nothing(extracted, model, tmp_path):
    scaled(model, 1e5)
    with pytest.raises(
        InputError,
        match=r"activation of \S+ at blocks\.0\.mlp\.hook_post does not fit into torch\.float16; set activations\.dty",
    ):
        extracted(dtype="float16")
    assert list((tmp_path / "activations").iterdir()) == []
    assert ActivationRows(extracted(dtype="float32")).slice(0, 2000).max() > 65504


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_in_any_format(extracted, model, factor):
    scaled(model, factor)
    with pytest.raises(InputError, match="logits are NaN or infinite; look for what is no number in its weights"):
        extracted(dtype="float32")


def test_an_unknown_site_is_refused_with_those_that_there_are(extracted):
    with pytest.raises(InputError, match=r"no site 'blocks\.1\.mlp\.hook_post'; it has blocks\.0\.hook_resid_pre"):
        extracted(site="blocks.1.mlp.hook_post")


def test_a_token_store_in_which_nothing_counts_is_refused(extracted, tmp_path):
    nothing = write_arrays(
        tmp_path / "nothing.zarr",
        {"kind": "text", "context_length": CONTEXT},
        ids=np.zeros((3, CONTEXT), np.int32),
        length=np.ones(3, np.int32),
        counted=np.zeros((3, CONTEXT), bool),
    )
    with pytest.raises(InputError, match=r"no position of .*nothing\.zarr counts"):
        extracted(tokens=nothing)


def test_a_store_that_does_not_fit_on_the_disk_is_refused():
    from polysem.activations.one_pass import require_space

    require_space(Path(), 0)
    with pytest.raises(InputError, match=r"needs 1,000,000,000\.0 GB for activations and has"):
        require_space(Path(), 10**18)


@pytest.mark.parametrize(("activation", "function"), [("relu", torch.relu), ("gelu", torch.nn.functional.gelu)])
def test_what_enters_a_classifiers_layer_is_the_image_or_the_layer_before(extracted, tmp_path, activation, function):
    torch.manual_seed(0)
    folder = tmp_path / "models/mlp"
    folder.mkdir()
    model = Perceptron([4, 8, 6, 3], activation)
    save(model, [4, 8, 6, 3], activation, folder)
    record_model(folder, "classifier", {}, {})
    pixels = np.random.default_rng(0).random((1500, 4), dtype=np.float32)
    images = write_arrays(
        tmp_path / "images.zarr", {"kind": "images", "classes": 3}, pixels=pixels, labels=np.zeros(1500, np.int32)
    )
    before = pixels
    for layer in (0, 1):
        store = extracted(f"m{layer}", model=folder, tokens=images, site=f"layers.{layer}.hook_post", inputs=True)
        inputs = torch.from_numpy(ActivationRows(store, "inputs").slice(0, 1500))
        found = torch.from_numpy(ActivationRows(store).slice(0, 1500))
        np.testing.assert_array_equal(inputs, before)
        linear = model.layers[layer]
        torch.testing.assert_close(function(inputs @ linear.weight.T + linear.bias).detach(), found)
        before = found.numpy()


def test_images_have_one_row_each(extracted, tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "models/mlp"
    folder.mkdir()
    save(Perceptron([4, 8, 3], "relu"), [4, 8, 3], "relu", folder)
    record_model(folder, "classifier", {}, {})
    pixels = np.random.default_rng(0).random((1500, 4), dtype=np.float32)
    images = write_arrays(
        tmp_path / "images.zarr", {"kind": "images", "classes": 3}, pixels=pixels, labels=np.zeros(1500, np.int32)
    )
    store = extracted(model=folder, tokens=images, site="layers.0.hook_post")
    rows, sequence, position = by_hand(folder, images)
    np.testing.assert_allclose(ActivationRows(store).slice(0, 1500), rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(read_array(open_store(store), "sequence")[:], sequence)
    assert not position.any()


@pytest.fixture(params=["float16", "float32"])
def rows(request, extracted) -> tuple[ActivationRows, np.ndarray]:
    store = extracted(dtype=request.param)
    return ActivationRows(store), read_array(open_store(store), "activations")[:].astype(np.float32)


def test_gathered_rows_are_those_of_the_store_whatever_their_order(rows):
    reader, wanted = rows
    assert reader.length % ROWS_PER_CHUNK
    assert (reader.length, reader.width) == wanted.shape
    draw = np.random.default_rng(0)
    last = reader.length - 1
    for numbers in (
        draw.permutation(reader.length),
        draw.integers(0, reader.length, 500),
        np.array([last, 0, last, 1024]),
    ):
        found = reader.gather(numbers)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted[numbers])
    assert reader.gather(np.empty(0, np.int64)).shape == (0, 16)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 1024), (1000, 1050), (1024, 2048), (5, 2100)])
def test_slices_are_those_of_the_store(rows, start, stop):
    reader, wanted = rows
    np.testing.assert_array_equal(reader.slice(start, stop), wanted[start:stop])
    np.testing.assert_array_equal(reader.slice(start, reader.length), wanted[start:])


@pytest.mark.parametrize("size", [100, 1024, 4096, 10**6])
def test_blocks_are_all_rows_in_order(rows, size):
    reader, wanted = rows
    blocks = list(reader.blocks(size))
    assert all(len(block) == min(size, reader.length) for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks), wanted)


def test_rows_that_there_are_not_are_an_error_though_their_chunk_has_room(rows):
    reader, _ = rows
    for call in (
        lambda: reader.gather(np.array([0, reader.length])),
        lambda: reader.gather(np.array([-1])),
        lambda: reader.slice(0, reader.length + 1),
        lambda: reader.slice(-1, 5),
    ):
        with pytest.raises(IndexError, match=f"of a store of {reader.length}"):
            call()


def run(script: str, *arguments: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(Path(polysem.__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def mapped_files() -> int:
    """Bytes of mapped files in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform == "win32", reason="limits of open files are those of Unix")
def test_a_store_of_more_shards_than_files_can_be_open_is_read(tmp_path):
    chunks = 150
    with written_store(tmp_path / "a.zarr", attributes={}, params={}, code="", device="cpu") as group:
        shape, dimensions = (chunks * ROWS_PER_CHUNK, 1), ("token", "neuron")
        array = create_array(
            group, "activations", shape, "float16", dimensions, compressed=False, shard_rows=ROWS_PER_CHUNK
        )
        array[:] = (np.arange(shape[0]) // ROWS_PER_CHUNK).astype(np.float16)[:, None]
    script = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from polysem.activations.rows import ActivationRows
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    print(ActivationRows(Path(sys.argv[1])).gather(np.arange(150) * 1024).sum())
    """
    assert float(run(script, tmp_path / "a.zarr")) == sum(range(chunks))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from /proc")
def test_reading_a_store_leaves_its_files_out_of_memory(tmp_path):
    """Of a store of 128 MiB; mapped pages would stay until the pass over the store is over, and count as memory."""
    shape = (128 * ROWS_PER_CHUNK, 512)
    with written_store(tmp_path / "a.zarr", attributes={}, params={}, code="", device="cpu") as group:
        array = create_array(group, "activations", shape, "float16", ("token", "neuron"), compressed=False)
        array[:] = np.repeat(np.arange(128, dtype=np.float16), ROWS_PER_CHUNK)[:, None]
    rows = ActivationRows(tmp_path / "a.zarr", mapped=False)
    before = mapped_files()
    assert sum(float(block[:, 0].sum()) for block in rows.blocks()) == 1024 * sum(range(128))
    assert mapped_files() - before < 1 << 20
    numbers = np.random.default_rng(0).permutation(shape[0])[:20_000]
    np.testing.assert_array_equal(rows.gather(numbers)[:, 511], numbers // ROWS_PER_CHUNK)
    assert mapped_files() - before < 1 << 20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_memory_does_not_grow_with_the_number_of_tokens(tmp_path):
    """The activations of the larger store are 134 MB, which would show if they were held."""
    folder = tmp_path / "models/wide"
    folder.mkdir(parents=True)
    wide = CONFIG | {"d_mlp": 256}
    save_native(bridge_of(new_model(wide)), wide, folder)
    record_model(folder, "language", {"context_length": CONTEXT, "processing": {}}, {})
    script = """
    import sys
    from pathlib import Path
    from polysem.activations.extract_activations import extract_activations
    model, tokens, output = map(Path, sys.argv[1:])
    extract_activations(model, tokens, "blocks.0.mlp.hook_post", output, 10**9, "float16", "")
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
    """
    peaks = []
    for sequences in (1024, 8192):
        tokens = write_arrays(
            tmp_path / f"tokens{sequences}.zarr",
            {"kind": "text", "context_length": CONTEXT},
            ids=np.zeros((sequences, CONTEXT), np.int32),
            length=np.full(sequences, CONTEXT, np.int32),
            counted=np.ones((sequences, CONTEXT), bool),
        )
        peaks.append(int(run(script, folder, tokens, tmp_path / f"a{sequences}.zarr")))
    assert peaks[1] < 1.15 * peaks[0]
