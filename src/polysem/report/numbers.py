"""Metrics as grids: one column per dictionary of a site, one row per metric."""

import math
from dataclasses import dataclass
from typing import Any

MODEL = "model"
"""Beside its sites, a model has its own numbers under this key."""
LOSSES = ("cross_entropy", "bigram_cross_entropy", "unigram_cross_entropy")
ABSENT = "–"


@dataclass(frozen=True)
class Grid:
    """A table: the heading's parts, the columns' names, and rows of a name and its cells."""

    heading: tuple[str, ...]
    columns: list[str]
    rows: list[tuple[str, list[str]]]


def model_grid(metrics: dict[str, Any]) -> Grid:
    """Numbers of the models side by side, the loss above those of bigrams and unigrams."""
    columns = {model: sites[MODEL] for model, sites in metrics.items() if sites.get(MODEL)}
    return _grid(("Models",), columns)


def site_grids(metrics: dict[str, Any]) -> list[Grid]:
    """Numbers of the dictionaries of each site side by side."""
    return [
        _grid((model, site), dictionaries)
        for model, sites in metrics.items()
        for site, dictionaries in sites.items()
        if site != MODEL
    ]


def in_words(value: Any) -> str:
    """A number with four significant digits, counts in full, anything else as text; a dash for what is absent."""
    match value:
        case None:
            return ABSENT
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case float() if math.isfinite(value) and value.is_integer() and abs(value) < 1e15:
            return f"{value:,.0f}"
        case float() if 1e4 <= abs(value) < 1e15:
            return f"{value:,.0f}"
        case float():
            return f"{value:.4g}"
    return str(value)


def _grid(heading: tuple[str, ...], columns: dict[str, dict[str, Any]]) -> Grid:
    names = list(dict.fromkeys(metric for numbers in columns.values() for metric in numbers))
    first = [loss for loss in LOSSES if loss in names]
    ordered = first + [name for name in names if name not in first]
    rows = [(name, [in_words(numbers.get(name)) for numbers in columns.values()]) for name in ordered]
    return Grid(heading, list(columns), rows)
