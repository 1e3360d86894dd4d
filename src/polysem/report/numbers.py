"""Metrics as tables: of models side by side, and of all dictionaries of a site, one row each."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from polysem.io.config_files import is_number

MODEL = "model"
"""Beside its sites, a model has its own numbers under this key."""
KNOWN = "known"
"""In place of a site, what SAEs on a toy's known features have."""
LOSSES = ("cross_entropy", "bigram_cross_entropy", "unigram_cross_entropy")
FIRST = (
    "features",
    "L0",
    "loss_recovered_zero",
    "loss_recovered_mean",
    "explained_variance",
    "never_active_share",
    "ultra_low_share",
    "rare_share",
    "one_sparse_share",
    "ten_sparse_share",
    "dense_share",
    "most_polysemantic_neuron",
    "most_polysemantic_neuron_features",
)
"""Metrics by which dictionaries are compared first; all others follow in the order of the file."""
ABSENT = "–"


@dataclass(frozen=True)
class Grid:
    """A table: the columns' names, and rows of a name and its cells."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def model_grid(metrics: dict[str, Any]) -> Grid:
    """Numbers of the models side by side, the loss above those of bigrams and unigrams."""
    columns = {model: sites[MODEL] for model, sites in metrics.items() if sites.get(MODEL)}
    return _grid(columns)


@dataclass(frozen=True)
class Cell:
    """A number as it is written and as it is sorted; `sorts` is empty for what has no order."""

    text: str
    sorts: str


@dataclass(frozen=True)
class Board:
    """All dictionaries of a site: names of metrics, how many of them stand first, a row of cells per dictionary."""

    metrics: list[str]
    leading: int
    rows: dict[str, list[Cell]]


def site_board(metrics: dict[str, Any], model: str, site: str, dictionaries: Iterable[str]) -> Board:
    """Numbers of the dictionaries of a site, in the order given."""
    numbers = metrics.get(model, {}).get(site, {})
    there = list(dict.fromkeys(name for found in numbers.values() for name in found))
    leading = [name for name in FIRST if name in there]
    return board(numbers, [*leading, *(name for name in there if name not in leading)], dictionaries, len(leading))


def board(numbers: dict[str, dict[str, Any]], names: list[str], rows: Iterable[str], leading: int) -> Board:
    """Some metrics of some dictionaries."""
    return Board(names, leading, {row: [_cell(numbers.get(row, {}).get(name)) for name in names] for row in rows})


def _cell(value: Any) -> Cell:
    ordered = is_number(value) and math.isfinite(value)
    return Cell(in_words(value), repr(value) if ordered else "")


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


def _grid(columns: dict[str, dict[str, Any]]) -> Grid:
    names = list(dict.fromkeys(metric for numbers in columns.values() for metric in numbers))
    first = [loss for loss in LOSSES if loss in names]
    ordered = first + [name for name in names if name not in first]
    rows = [(name, [in_words(numbers.get(name)) for numbers in columns.values()]) for name in ordered]
    return Grid(list(columns), rows)
