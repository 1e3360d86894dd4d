"""A small activation store with known directions in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from polysem.io.stores import create_array, written_store

torch.set_num_threads(1)


def sparse_sums(tokens: int, directions: np.ndarray, active: int, seed: int = 0) -> np.ndarray:
    """Each row is the sum of a few of the directions [feature, neuron] with weights between 0.5 and 1.5."""
    generator = np.random.default_rng(seed)
    weights = np.zeros((tokens, len(directions)))
    for row in weights:
        row[generator.choice(len(directions), active, replace=False)] = generator.uniform(0.5, 1.5, active)
    return weights @ directions


def random_directions(features: int, neurons: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((features, neurons))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    def write(activations: np.ndarray, name: str = "train") -> Path:
        path = tmp_path / "activations" / f"{name}.zarr"
        params = {"site": "blocks.0.mlp.hook_post", "settings": {"context_length": 8}}
        with written_store(path, attributes={}, params=params, code="", device="cpu") as group:
            array = create_array(
                group, "activations", activations.shape, "float32", ("token", "neuron"), compressed=False
            )
            array[:] = activations.astype(np.float32)
        return path

    return write
