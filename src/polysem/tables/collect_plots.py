"""Small CSV files for `dvc plots`: frequency histogram (S0.F1) and rank-frequency curve (S0.F2) of each dictionary."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polysem.io.atomic import write_text
from polysem.io.tables import read_table

LOWEST = -7
STEPS = 4
"""Bins per factor of ten."""
RANKS = 60


def collect_plots(tables: Path, dictionaries: list[str], output: Path) -> None:
    """Write `frequency_histogram.csv` and `rank_frequency.csv` below `output`/model/site/dictionary, and remove what
    earlier runs left there of other dictionaries.

    `dictionaries` are "model/site/dictionary" as their tables' folders below `tables` are called.
    """
    plots: dict[Path, str] = {}
    for key in dictionaries:
        frequency = read_table(tables / key / "frequency.nc")["frequency"].values
        curve = read_table(tables / key / "rank_frequency.nc")["frequency_sorted"].values
        plots[output / key / "frequency_histogram.csv"] = frequency_histogram(frequency)
        plots[output / key / "rank_frequency.csv"] = rank_curve(curve)
    for path, text in plots.items():
        write_text(path, text)
    remove_others(output, plots.keys())


def remove_others(folder: Path, kept: Collection[Path]) -> None:
    """Remove all plots below a folder but those that are kept, and the folders that get empty by it. A plot is a CSV
    file in the place of one, model/site/dictionary/plot.csv; whatever else lies there is none of ours."""
    for file in [path for path in folder.glob("*/*/*/*.csv") if path not in kept]:
        file.unlink()
        for parent in list(file.parents)[:3]:
            if any(parent.iterdir()):
                break
            parent.rmdir()


def frequency_histogram(frequency: NDArray[np.float64]) -> str:
    """Features per bin of log10 of the frequency, as CSV; bins are named by their left edge, −7, −6.75, … 0.

    The last bin holds the features that are active on all tokens, the first one also those below 1e-7. The never active
    are left out: they have no logarithm, and `never_active_share` among the metrics counts them.
    """
    bins = -LOWEST * STEPS + 1
    logarithm = np.log10(frequency[frequency > 0])
    place = np.floor(np.round((logarithm - LOWEST) * STEPS, 9)).astype(np.int64).clip(0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    edges = LOWEST + np.arange(bins) / STEPS
    return _csv("log10_frequency,features", (f"{edge:.2f},{count}" for edge, count in zip(edges, counts, strict=True)))


def rank_curve(frequency_sorted: NDArray[np.float64]) -> str:
    """Frequencies at up to 60 ranks, evenly spaced by their logarithm, the first and the last included, as CSV."""
    last = len(frequency_sorted)
    ranks = np.unique(np.geomspace(1, last, RANKS).round().astype(np.int64)) if last else np.zeros(0, np.int64)
    return _csv("rank,frequency", (f"{rank},{frequency_sorted[rank - 1]:.6g}" for rank in ranks))


def _csv(header: str, lines: Iterable[str]) -> str:
    return "\n".join([header, *lines]) + "\n"
