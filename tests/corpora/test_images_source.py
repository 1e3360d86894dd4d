import gzip
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from polysem.corpora.mnist_files import IDX_FILES
from polysem.corpora.sources.images.make import make
from polysem.io.errors import InputError

REAL = Path(__file__).parents[3] / "shared/data/mnist/mnist.npz"


def corpus(**params) -> pa.Table:
    return make({"source": "images", **params})


def pixels(table: pa.Table) -> np.ndarray:
    return np.stack(table["image"].to_numpy())


def small_mnist(train: int = 5, test: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (train, 28, 28), dtype=np.uint8),
        "y_train": np.arange(train, dtype=np.uint8),
        "x_test": random.integers(0, 256, (test, 28, 28), dtype=np.uint8),
        "y_test": np.arange(test, dtype=np.uint8),
    }


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_digits_are_scikit_learns_images_in_its_order():
    table = corpus()
    digits = load_digits()
    assert table.schema.metadata == {b"height": b"8", b"width": b"8", b"classes": b"10"}
    assert table.schema.field("image").type == pa.list_(pa.float32(), 64)
    assert table.schema.field("label").type == pa.int32()
    assert np.array_equal(pixels(table) * 16, digits.data)
    assert np.array_equal(table["label"].to_numpy(), digits.target)


def test_the_eval_share_of_digits_is_exact_and_drawn_by_seed():
    splits = [corpus(eval_share=0.25, seed=seed)["split"].to_pylist() for seed in (0, 0, 1)]
    assert splits[0].count("eval") == round(0.25 * 1797)
    assert splits[0] == splits[1] != splits[2]


def test_mnist_from_npz_is_scaled_to_one_with_its_own_test_images(tmp_path):
    arrays = small_mnist()
    np.savez(tmp_path / "mnist.npz", **arrays)
    table = corpus(images="mnist", path=str(tmp_path / "mnist.npz"))
    assert table["split"].to_pylist() == ["train"] * 5 + ["eval"] * 3
    assert table["label"].to_pylist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert np.array_equal(np.rint(pixels(table)[5] * 255).reshape(28, 28), arrays["x_test"][0])
    assert pixels(table).max() <= 1
    assert table.schema.metadata == {b"height": b"28", b"width": b"28", b"classes": b"10"}


@pytest.mark.parametrize("spelling", ["{}", "{}.gz", "dotted"])
def test_idx_files_give_the_same_table_as_npz(tmp_path, spelling):
    arrays = small_mnist()
    np.savez(tmp_path / "mnist.npz", **arrays)
    for name, key in zip(IDX_FILES, ("x_train", "y_train", "x_test", "y_test"), strict=True):
        file = name.replace("-idx", ".idx") if spelling == "dotted" else spelling.format(name)
        content = idx(arrays[key])
        (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith(".gz") else content)
    from_idx = corpus(images="mnist", path=str(tmp_path))
    assert from_idx.equals(corpus(images="mnist", path=str(tmp_path / "mnist.npz")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, r"lacks y_test; it holds x_train, y_train, x_test and must hold"),
        (
            {"x_train": np.zeros((5, 784), np.uint8)},
            r"train images are \(5, 784\) of uint8; wanted",
        ),
        ({"x_test": np.zeros((3, 28, 28), np.float32)}, r"test images are \(3, 28, 28\) of float32"),
        ({"y_train": np.zeros(4, np.uint8)}, r"labels are \(4,\) of uint8; wanted \(5,\)"),
        ({"y_train": np.full(5, 11, np.uint8)}, r"labels run from 11 to 11; wanted 0 to 9"),
        (
            {"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)},
            r"images are \(0, 28, 28\)",
        ),
        ({"x_train": np.array([object()])}, r"not a readable \.npz file of plain arrays"),
    ],
)
def test_an_npz_that_is_not_mnist_is_refused_with_what_was_found(tmp_path, change, message):
    arrays = {name: array for name, array in (small_mnist() | change).items() if array is not None}
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(InputError, match=message):
        corpus(images="mnist", path=str(tmp_path / "mnist.npz"))


@pytest.mark.parametrize("content", [b"no archive at all", b"", b"PK\x03\x04 cut short"])
def test_a_broken_npz_is_refused(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"mnist\.npz is not a readable \.npz"):
        corpus(images="mnist", path=str(tmp_path / "mnist.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x01\x02\x03", "does not begin like an idx file"),
        (idx(np.zeros((5, 28, 28), np.uint8))[:-1], r"has 3,935 bytes and its header promises 3,936"),
        (b"\0\0\x08\x03\0", "its header promises"),
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path, content, message):
    for name, array in zip(IDX_FILES, small_mnist().values(), strict=True):
        (tmp_path / name).write_bytes(idx(array))
    (tmp_path / IDX_FILES[0]).write_bytes(content)
    with pytest.raises(InputError, match=message):
        corpus(images="mnist", path=str(tmp_path))


def test_missing_idx_files_are_listed(tmp_path):
    (tmp_path / IDX_FILES[0]).write_bytes(idx(small_mnist()["x_train"]))
    with pytest.raises(InputError, match=r"lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte"):
        corpus(images="mnist", path=str(tmp_path))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"images": "mnist", "path": "nowhere.npz"}, "is no file and no folder"),
        ({"images": "mnist", "path": __file__}, r"is no \.npz file"),
    ],
)
def test_a_path_that_does_not_fit_is_refused(params, message):
    with pytest.raises(InputError, match=message):
        corpus(**params)


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="mnist.npz is not beside the project")
def test_the_real_mnist_has_70000_images():
    table = corpus(images="mnist", path=str(REAL))
    assert table["split"].to_pylist() == ["train"] * 60_000 + ["eval"] * 10_000
    assert table["label"].to_pylist()[:5] == [5, 0, 4, 1, 9]
