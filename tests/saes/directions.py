"""Activations with known directions in them."""

import numpy as np


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
