"""A store, an SAE on it, and slow, independent tables from whole matrices: f [token, feature], x [token, neuron]."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from polysem.io.stores import create_array, written_store
from polysem.saes.activation_functions import topk
from polysem.saes.sae import SAE

NEURONS, FEATURES = 10, 60


def store_of(x, sequence, position, path):
    with written_store(path, attributes={}, params={}, code="", device="cpu") as group:
        array = create_array(group, "activations", x.shape, str(x.dtype), ("token", "neuron"), compressed=False)
        array[:] = x
        for name, values in {"sequence": sequence, "position": position}.items():
            column = create_array(group, name, values.shape, "int32", ("token",), compressed=True)
            column[:] = values.astype(np.int32)
    return path


def sae():
    generator = torch.Generator().manual_seed(1)
    W_enc = F.normalize(torch.randn(NEURONS, FEATURES, generator=generator), dim=0)
    W_enc[4] *= 0.01
    b_enc = torch.zeros(FEATURES)
    b_enc[7] = -1000.0
    return SAE(W_enc, b_enc, W_enc.T.contiguous(), torch.zeros(NEURONS), topk.Function(6))


def partners(f, others, ranks, same):
    """For each column of f the columns of `others` with the largest Pearson correlations: [(partner, correlation)]."""
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(f, others, rowvar=False)[: f.shape[1], f.shape[1] :]
    correlation[:, others.max(axis=0) == others.min(axis=0)] = np.nan
    correlation[f.max(axis=0) == f.min(axis=0)] = np.nan
    if same:
        np.fill_diagonal(correlation, np.nan)
    return [
        sorted(((other, value) for other, value in enumerate(row) if not math.isnan(value)), key=lambda pair: -pair[1])[
            :ranks
        ]
        for row in correlation.tolist()
    ]


def top(f, feature, count):
    """Tokens with the largest activations of a feature, earlier ones first among equal ones."""
    active = [token for token in range(len(f)) if f[token, feature] > 0]
    return sorted(active, key=lambda token: (-f[token, feature], token))[:count]


def window(f, feature, token, sequence, position, before, after):
    """Activations around a token, NaN where there is no row."""
    rows = {(s, p): number for number, (s, p) in enumerate(zip(sequence, position, strict=True))}
    places = [(sequence[token], position[token] + offset) for offset in range(-before, after + 1)]
    return [float(f[rows[place], feature]) if place in rows else math.nan for place in places]
