"""The index behind the search box: everything that has a page, by what people call it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polysem.io.errors import InputError
from polysem.layout.feature_labels import Label, read_labels
from polysem.layout.place import Place
from polysem.report.chapters import Chapter
from polysem.report.site import script_json

KINDS = ("catalogue", "dictionary", "feature")


@dataclass(frozen=True)
class Feature:
    """A feature that can be searched for; `page` is empty where it has a label and no sheet."""

    number: int
    page: str
    labels: list[str]
    tokens: list[str]


def read_features(receipt: Path | None, labels: Path, origin: Place) -> list[Feature]:
    """Features of a dictionary that have a sheet, in the order of their receipt, then those with a label alone.

    `receipt` is that of its folder of sheets, if it has one; `labels` is the folder of the files with labels. Raises
    InputError for a receipt that is missing or none, or for labels that cannot be read.
    """
    features = [] if receipt is None else _with_sheets(receipt)
    numbers = {feature.number for feature in features}
    named = labels_of(labels, origin)
    return features + [
        Feature(number, "", [label.text for label in own], []) for number, own in named.items() if number not in numbers
    ]


def _with_sheets(path: Path) -> list[Feature]:
    again = f"write the sheets again: snakemake --cores all --force {path.as_posix()}"
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
        return [_feature(sheet) for sheet in receipt["sheets"]]
    except OSError as error:
        raise InputError(f"{path}, the receipt of sheets, cannot be read ({error.strerror}); {again}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no receipt of sheets ({error!r}); {again}") from error


def labels_of(labels: Path, origin: Place) -> dict[int, list[Label]]:
    """All labels of a dictionary, by feature."""
    return read_labels(labels.parent / origin.labels)


def search_index(chapters: list[Chapter], features: dict[Place, list[Feature]]) -> str:
    """The index as a script: pages from disk may load scripts and no data.

    A row is kind, name, further words, folder and file; kinds and folders stand in lists of their own, as most rows
    share them. Addresses are from the root of the site.
    """
    folders: dict[str, int] = {}
    rows: list[tuple[int, str, str, int, str]] = []

    def add(kind: str, name: str, words: str, folder: str, file: str) -> None:
        rows.append((KINDS.index(kind), name, words, folders.setdefault(folder, len(folders)), file))

    for chapter in chapters:
        for article in chapter.articles:
            entry = article.entry
            add("catalogue", entry.id, entry.title, f"pages/{chapter.document}.html#", entry.id)
    for origin, found in features.items():
        add("dictionary", origin.path, "", "pages/models/", f"{quote(origin.path)}.html")
        for feature in found:
            words = " ".join([*feature.tokens, origin.path, str(feature.number)])
            name = "; ".join(feature.labels) or f"{origin.dictionary} / {feature.number}"
            sheet = (f"sheets/{quote(origin.path)}/", quote(feature.page))
            page = ("pages/models/", f"{quote(origin.path)}.html")
            add("feature", name, words, *(sheet if feature.page else page))
    index = {"kinds": KINDS, "folders": list(folders), "rows": rows}
    return f"window.polysemIndex = {script_json(index)};\n"


def _feature(sheet: dict[str, Any]) -> Feature:
    return Feature(
        number=int(sheet["feature"]),
        page=str(sheet["page"]),
        labels=[str(label["text"]) for label in sheet["labels"]],
        tokens=[str(token) for token in sheet["tokens"]],
    )
