"""Labels that people gave to features: `labels/{model}/{site}/{dictionary}.csv`, in git (S0.X2)."""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from polysem.io.errors import InputError

COLUMNS = ("feature", "label", "author", "note")


@dataclass(frozen=True)
class Label:
    """What one person calls a feature; `note` may be empty."""

    text: str
    author: str
    note: str


def read_labels(path: Path, features: int | None = None) -> dict[int, list[Label]]:
    """All labels by feature, in the order of the file; none if there is no file.

    Several authors may label one feature, each once. `features` is how many the dictionary has, where that is known.
    Raises InputError, naming file and line, for unknown or missing columns, rows of another length, a feature that is
    no number or that the dictionary lacks, an empty label or author, and a second label by the same author.
    """
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}); convert it, for example with iconv") from None
    rows = csv.reader(StringIO(text, newline=""), strict=True)
    labels: dict[int, list[Label]] = {}
    try:
        header = next(rows, [])
        _check_header(header, path)
        for row in rows:
            if row:
                where = f"{path}, line {rows.line_num}"
                feature, label = _parsed(header, row, features, where)
                named = labels.setdefault(feature, [])
                if any(other.author == label.author for other in named):
                    raise InputError(f"{where}: {label.author} has labelled feature {feature} before; keep one row")
                named.append(label)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: {error}; quote texts that hold commas or quotes") from None
    return labels


def _check_header(header: list[str], path: Path) -> None:
    expected = f"the first line must name the columns {','.join(COLUMNS)}"
    if unknown := [name for name in header if name not in COLUMNS]:
        raise InputError(f"{path}, line 1: unknown column {unknown[0]!r}; {expected}")
    if missing := [name for name in COLUMNS if header.count(name) != 1]:
        found = "twice" if missing[0] in header else "missing"
        raise InputError(f"{path}, line 1: the column {missing[0]!r} is {found}; {expected}")


def _parsed(header: list[str], row: list[str], features: int | None, where: str) -> tuple[int, Label]:
    if len(row) != len(header):
        raise InputError(
            f"{where}: {len(row)} fields, expected {len(header)} ({','.join(header)}); quote texts that hold commas"
        )
    values = {name: field.strip() for name, field in zip(header, row, strict=True)}
    number = values["feature"]
    if not (number.isascii() and number.isdigit()):
        raise InputError(f"{where}: {number!r} is no feature; expected its number, counted from 0")
    if features is not None and int(number) >= features:
        raise InputError(f"{where}: there is no feature {number}; the dictionary has 0 … {features - 1}")
    for name in ("label", "author"):
        if not values[name]:
            raise InputError(f"{where}: the {name} of feature {number} is empty; write one, or delete the row")
    return int(number), Label(values["label"], values["author"], values["note"])
