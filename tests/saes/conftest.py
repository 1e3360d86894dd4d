"""A small activation store with known directions in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from polysem.io.stores import create_array, written_store

torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    def write(activations: np.ndarray, name: str = "train", dtype: str = "float32") -> Path:
        path = tmp_path / "activations" / f"{name}.zarr"
        params = {"site": "blocks.0.mlp.hook_post", "settings": {"context_length": 8}}
        with written_store(path, attributes={}, params=params, code="", device="cpu") as group:
            array = create_array(group, "activations", activations.shape, dtype, ("token", "neuron"), compressed=False)
            array[:] = activations.astype(dtype)
        return path

    return write
