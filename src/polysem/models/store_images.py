"""Step: turn a split of an image corpus into the inputs that a classifier reads."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from polysem.io.errors import InputError
from polysem.io.stores import create_array, written_store


def store_images(corpus: Path, output: Path, split: Literal["train", "eval"], code: str) -> None:
    """Write a token store of images and its receipt.

    Arrays: `pixels` float32 [image, pixel] in [0, 1], row-major; `labels` int32 [image]. InputError for a corpus of
    text.
    """
    schema = pq.read_schema(corpus)
    if "image" not in schema.names:
        raise InputError(f"{corpus} holds text; a classifier needs a corpus of images (source: images)")
    table = pq.read_table(corpus, filters=[("split", "==", split)])
    pixels = np.stack(table["image"].to_numpy()).astype(np.float32)
    labels = table["label"].to_numpy().astype(np.int32)
    shape = {name: int((schema.metadata or {})[name.encode()]) for name in ("height", "width", "classes")}
    attributes = {"kind": "images", "tags": []} | shape
    params = {"split": split}
    with written_store(output, attributes=attributes, params=params, code=code, device="cpu") as group:
        create_array(group, "pixels", pixels.shape, "float32", ("image", "pixel"), compressed=True)[:] = pixels
        create_array(group, "labels", labels.shape, "int32", ("image",), compressed=True)[:] = labels
