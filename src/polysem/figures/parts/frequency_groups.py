"""Histograms of features in which the ultra-low and the never-active ones have colours of their own."""

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from polysem.figures.parts import theme
from polysem.params.analysis import Analysis
from polysem.tables.parts.frequency_classes import firings, is_ultra_low

MANY, BINS, BINS_OF_FEW = 1000, 100, 40
WORDS = {"bulk": "other features", "ultra_low": "ultra-low, active on < {threshold} of tokens", "never": "never active"}


def groups(frequency: xr.Dataset, analysis: Analysis) -> dict[str, np.ndarray]:
    """Which features belong to each group, by its colour in the theme; the never active are none of the ultra-low."""
    values = frequency["frequency"].to_numpy()
    return {
        "bulk": values >= analysis.ultra_low_frequency,
        "ultra_low": is_ultra_low(frequency, analysis.ultra_low_frequency),
        "never": values == 0,
    }


def threshold_in_words(frequency: xr.Dataset, analysis: Analysis) -> str:
    """What the ultra-low threshold is in firings, a sentence: near one firing, ultra-low means little."""
    least = firings(frequency, analysis.ultra_low_frequency)
    tokens = int(frequency.attrs["tokens"])
    return f"The ultra-low threshold is {least:.3g} {'firing' if least == 1 else 'firings'} on {tokens:,} eval tokens."


def bins(features: int) -> int:
    """How many bins a histogram of so many features has."""
    return BINS if features >= MANY else BINS_OF_FEW


def stack(axes: Axes, values: np.ndarray, members: dict[str, np.ndarray], edges: np.ndarray) -> float:
    """Stacked histogram of finite values by group; the height of the highest bin."""
    below = np.zeros(len(edges) - 1)
    for colour, member in members.items():
        counts, _ = np.histogram(values[member & np.isfinite(values)], edges)
        axes.stairs(below + counts, edges, baseline=below, fill=True, color=theme.COLOURS[colour])
        below = below + counts
    return float(below.max())


def baseline(axes: Axes, values: np.ndarray, edges: np.ndarray, features: int) -> float:
    """Outline of a random baseline, scaled to as many rows as features; the height of the highest bin."""
    counts, _ = np.histogram(values, edges)
    heights = counts * features / max(1, values.size)
    axes.stairs(heights, edges, color=theme.COLOURS["random"], linewidth=1.3)
    return float(heights.max())


def legend(members: dict[str, np.ndarray], analysis: Analysis, random: str = "") -> list[Artist]:
    """Entries for the groups that have features, with their counts, and for the baseline."""
    whole = next(iter(members.values())).size
    threshold = theme.scientific(analysis.ultra_low_frequency)
    entries: list[Artist] = [
        theme.swatch(colour, f"{WORDS[colour].format(threshold=threshold)}: {theme.counted(int(member.sum()), whole)}")
        for colour, member in members.items()
        if member.any()
    ]
    if random:
        entries.append(Line2D([], [], color=theme.COLOURS["random"], linewidth=1.3, label=random))
    return entries
