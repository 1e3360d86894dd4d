"""What differs between two sides: params, metrics, verdicts and figures."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.config_files import is_number
from polysem.report.numbers import in_words
from polysem.workflow.commands.sides import Side

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """A value that is not the same on both sides, as text; `change` is empty for what is no number on both."""

    key: str
    before: str
    after: str
    change: str = ""


@dataclass(frozen=True)
class Pair:
    """A figure that is not the same on both sides; a file is None where that side has no figure, or not at hand."""

    folder: str
    """`model/site/dictionary`."""
    name: str
    state: str
    before: Path | None
    after: Path | None

    @property
    def key(self) -> str:
        """Both names."""
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True)
class Differences:
    """All of them. `metrics` are grouped by whose they are, `same_*` count what did not change."""

    params: list[Line] | None
    metrics: dict[str, list[Line]]
    same_metrics: int
    only_before: list[str]
    only_after: list[str]
    verdicts: list[Line]
    figures: list[Pair]
    same_figures: int

    def __bool__(self) -> bool:
        return bool(self.params or self.metrics or self.only_before or self.only_after or self.verdicts or self.figures)


def differences(one: Side, other: Side) -> Differences:
    """Everything that differs, from one side to the other."""
    before, after = _by_owner(one.metrics), _by_owner(other.metrics)
    metrics: dict[str, list[Line]] = {}
    same = 0
    for owner in [name for name in after if name in before]:
        lines = list(_lines(before[owner], after[owner]))
        same += len(before[owner].keys() | after[owner].keys()) - len(lines)
        if lines:
            metrics[owner] = lines
    pairs = list(_pairs(one, other))
    return Differences(
        params=None if one.params is None or other.params is None else _param_lines(one.params, other.params),
        metrics=metrics,
        same_metrics=same,
        only_before=[name for name in before if name not in after],
        only_after=[name for name in after if name not in before],
        verdicts=list(_lines(one.verdicts, other.verdicts)),
        figures=[pair for pair in pairs if pair.state != "same"],
        same_figures=sum(pair.state == "same" for pair in pairs),
    )


def _by_owner(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Numbers by `model/site/dictionary`, a model's own by `model`."""
    found: dict[str, dict[str, Any]] = {}
    for model, sites in metrics.items():
        for site, held in sites.items():
            if site == "model":
                found[model] = held
            else:
                found |= {f"{model}/{site}/{dictionary}": numbers for dictionary, numbers in held.items()}
    return found


def changed_keys(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The keys of two studies, as `Study.values` gives them, whose values differ: `corpora.mnist.path`."""
    return [line.key for line in _param_lines(before, after)]


def _param_lines(before: dict[str, Any], after: dict[str, Any]) -> list[Line]:
    """Without `families`, which no params file has: another name of a recipe shows in its SAEs, and older runs record
    none."""
    one, other = ({key: value for key, value in side.items() if key != "families"} for side in (before, after))
    return list(_lines(dict(_flat(one)), dict(_flat(other))))


def _flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _lines(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Line]:
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old != new or (key in before) != (key in after):
            yield Line(
                key,
                in_words(old) if key in before else NOTHING,
                in_words(new) if key in after else NOTHING,
                _change(old, new),
            )


def _change(old: Any, new: Any) -> str:
    """The difference with its sign, and in percent of the old value."""
    if not (is_number(old) and is_number(new)):
        return ""
    difference = new - old
    if not math.isfinite(difference):
        return ""
    sign = "+" if difference > 0 else "−"
    share = f" ({sign}{abs(difference / old) * 100:.3g} %)" if old else ""
    return f"{sign}{in_words(abs(difference))}{share}"


def _pairs(one: Side, other: Side) -> Iterator[Pair]:
    for key in sorted(one.figures.keys() | other.figures.keys()):
        old, new = one.figures.get(key), other.figures.get(key)
        if old and new:
            state = "same" if old.digest == new.digest else "changed"
        else:
            state = f"only in {other.name if new else one.name}"
        yield Pair(*key, state, old.file if old else None, new.file if new else None)
