"""What people said of the features of a whole study: as a table, and as lists of features."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polysem.layout.annotations import FeatureAnnotations, weights_of

if TYPE_CHECKING:
    import pandas as pd

    from polysem.study.dictionary import Dictionary
    from polysem.study.model import Model

COLUMNS = (
    "model", "site", "dictionary", "feature", "author", "star", "label", "note", "comments", "weights", "current",
)  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A feature that somebody starred or commented."""

    dictionary: "Dictionary"
    number: int
    said: FeatureAnnotations
    weights: str | None
    """Those that the tables of the dictionary are of; None where there are no tables."""

    @property
    def is_current(self) -> bool:
        """Whether a star or a comment is about the weights that are there."""
        return bool(self.said.starred_by or self.said.comments)


def listed(
    models: "Mapping[str, Model]", author: str | None = None, model: str | None = None, label: str | None = None
) -> list[Listed]:
    """The features that somebody starred or commented, or this author did, in the order of the study; those of one
    model, or with a label that holds a text in capital or small letters."""
    found = []
    for held, weights in _noted(models):
        said = held.site.results.annotations(held.place).about_weights(weights or "")
        for number, own in said.items():
            notes = [note for note in (*own.notes, *own.others) if note.star or note.comments]
            if (
                any(author in (None, note.author) for note in notes)
                and model in (None, held.place.model)
                and (label is None or label.casefold() in own.label.casefold())
            ):
                found.append(Listed(held, number, own, weights))
    return found


def notes_table(models: "Mapping[str, Model]") -> "pd.DataFrame":
    """A note per row, in the order of the study; see `Study.notes`."""
    import pandas as pd

    rows = []
    for held, weights in _noted(models):
        for note in held.site.results.annotations(held.place).notes:
            comments = [(one.date, one.text) for one in note.comments]
            current = pd.NA if weights is None else note.weights == weights
            said = (note.feature, note.author, note.star, note.label, note.note, comments, note.weights, current)
            rows.append((*held.place.names, *said))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(object)
    return table.astype({"feature": int, "star": bool, "current": "boolean"})


def _noted(models: "Mapping[str, Model]") -> "Iterator[tuple[Dictionary, str | None]]":
    """The dictionaries with notes, and the weights that their tables are of; None where there are no tables."""
    for held in (held for model in models.values() for site in model.values() for held in site.values()):
        results, receipt = held.site.results, held.place.tables_receipt
        if results.annotations(held.place).notes:
            yield held, weights_of(results.bring(receipt)) if results.has(receipt) else None
