"""Histogram ranges for quantities with tails a hundred times longer than their bulk."""

import numpy as np

from polysem.figures.parts.theme import counted, scientific

FENCE = 4.0
FEW, BINS, BINS_OF_FEW = 1000, 80, 40


def clipped_edges(values: np.ndarray, include: np.ndarray) -> np.ndarray:
    """Edges of equal bins over the bulk of `values` and over all of `include`, which is not empty.

    There are 80 bins, or 40 for fewer than 1,000 values. The upper end is the largest value, or the third quartile
    plus four interquartile ranges if that is less: a limit which no tail moves. Where half of the values are equal it
    is the largest value.
    """
    lower, upper = float(include.min()), float(include.max())
    if values.size:
        first, third = np.quantile(values, [0.25, 0.75])
        fence = third + FENCE * (third - first) if third > first else np.inf
        lower, upper = min(lower, float(values.min())), max(upper, min(float(values.max()), float(fence)))
    margin = 0.02 * (upper - lower) or 0.5
    return np.linspace(lower - margin, upper + margin, (BINS if values.size >= FEW else BINS_OF_FEW) + 1)


def tail_in_words(values: np.ndarray, edges: np.ndarray) -> str:
    """What of `values` the edges clip, to go on after "4,096 features: "."""
    if not values.size:
        return "nothing to show."
    largest = scientific(float(values.max()))
    if beyond := int((values > edges[-1]).sum()):
        return f"clipped at {scientific(edges[-1])}, {counted(beyond, values.size)} lie beyond, up to {largest}."
    if np.ptp(values) < 1e-6 * max(1.0, float(np.abs(values).max())):
        return f"all have the same value, {largest}."
    return f"none clipped, the largest value is {largest}."
