"""`source: images`: digits or MNIST, with labels."""

from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Integer

from polysem.corpora.mnist_files import check_pair, find_files, read_idx, read_npz
from polysem.corpora.sources.images.section import ImagesCorpus
from polysem.io.files import expanded

MNIST = "ylecun/mnist"
MNIST_SIDE = 28
CLASSES = 10
DIGITS_MAXIMUM = 16
"""scikit-learn's digits count inked pixels in blocks of 4 × 4."""


def make(params: dict[str, Any]) -> pa.Table:
    """Columns `image` (pixels row by row, in [0, 1]), `label`, `split`; metadata `height`, `width`, `classes`.

    `digits` keeps scikit-learn's order and its eval images are drawn by seed; `mnist` has its training images first,
    then its test images as the eval split. Raises InputError for a file that is not MNIST or a hub out of reach.
    """
    corpus = ImagesCorpus.model_validate(params)
    return _digits(corpus) if corpus.images == "digits" else _mnist(corpus)


def _digits(corpus: ImagesCorpus) -> pa.Table:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    count = len(bunch.target)
    held_out = np.zeros(count, dtype=bool)
    wanted = min(max(round(corpus.eval_share * count), 1), count - 1)
    held_out[np.random.default_rng(corpus.seed).permutation(count)[:wanted]] = True
    splits = ["eval" if out else "train" for out in held_out]
    return images_table((bunch.images / DIGITS_MAXIMUM).astype(np.float32), bunch.target, splits)


def _mnist(corpus: ImagesCorpus) -> pa.Table:
    train_images, train_labels, test_images, test_labels = _mnist_arrays(corpus.path)
    where = f"`{corpus.path or MNIST}`"
    check_pair(train_images, train_labels, MNIST_SIDE, CLASSES, f"{where}, train")
    check_pair(test_images, test_labels, MNIST_SIDE, CLASSES, f"{where}, test")
    splits = ["train"] * len(train_labels) + ["eval"] * len(test_labels)
    pixels = np.concatenate([train_images, test_images]).astype(np.float32) / 255
    return images_table(pixels, np.concatenate([train_labels, test_labels]), splits)


def _mnist_arrays(path: str | None) -> list[np.ndarray]:
    if path is None:
        return _from_hub()
    first, *others = find_files(expanded(path))
    return [read_idx(file) for file in (first, *others)] if others else read_npz(first)


def _from_hub() -> list[np.ndarray]:
    from polysem.corpora.hub import require_hub, stream

    require_hub(MNIST, "main", "set `path:` to a local mnist.npz or a folder of idx files, or go online")
    arrays: list[np.ndarray] = []
    for split in ("train", "test"):
        rows = [(np.asarray(row["image"]), row["label"]) for row in stream(MNIST, None, split, "main")]
        arrays += [np.stack([image for image, _ in rows]), np.array([label for _, label in rows])]
    return arrays


def images_table(
    pixels: Float[np.ndarray, "image height width"], labels: Integer[np.ndarray, " image"], splits: list[str]
) -> pa.Table:
    """The table of images whose pixels are already in [0, 1]."""
    _, height, width = pixels.shape
    flat = pa.array(np.ascontiguousarray(pixels, dtype=np.float32).reshape(-1))
    table = pa.table(
        {
            "image": pa.FixedSizeListArray.from_arrays(flat, height * width),
            "label": pa.array(labels.astype(np.int32)),
            "split": pa.array(splits, pa.string()),
        }
    )
    return table.replace_schema_metadata({"height": str(height), "width": str(width), "classes": str(CLASSES)})
