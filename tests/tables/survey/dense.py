"""Slow, independent tables from whole matrices: f [token, feature] and x [token, neuron]."""

import math

import numpy as np


def store_of(x, sequence, position, path):
    from polysem.io.stores import create_array, written_store

    with written_store(path, attributes={}, params={}, code="", device="cpu") as group:
        array = create_array(group, "activations", x.shape, str(x.dtype), ("token", "neuron"), compressed=False)
        array[:] = x
        for name, values in {"sequence": sequence, "position": position}.items():
            column = create_array(group, name, values.shape, "int32", ("token",), compressed=True)
            column[:] = values.astype(np.int32)
    return path


def pearson(a, b):
    if a.std() == 0 or b.std() == 0:
        return math.nan
    return float(((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std()))


def partners(f, others, ranks, same):
    """For each column of f the columns of `others` with the largest correlations: [(partner, correlation)]."""
    found = []
    for feature in range(f.shape[1]):
        pairs = [
            (pearson(f[:, feature], others[:, other]), other)
            for other in range(others.shape[1])
            if not (same and other == feature)
        ]
        known = sorted((pair for pair in pairs if not math.isnan(pair[0])), key=lambda pair: -pair[0])
        found.append([(other, value) for value, other in known[:ranks]])
    return found


def top(f, feature, count):
    """Tokens with the largest activations of a feature, earlier ones first among equal ones."""
    active = [token for token in range(len(f)) if f[token, feature] > 0]
    return sorted(active, key=lambda token: (-f[token, feature], token))[:count]


def window(f, feature, token, sequence, position, before, after):
    """Activations around a token, NaN where there is no row."""
    rows = {(s, p): number for number, (s, p) in enumerate(zip(sequence, position, strict=True))}
    places = [(sequence[token], position[token] + offset) for offset in range(-before, after + 1)]
    return [float(f[rows[place], feature]) if place in rows else math.nan for place in places]
