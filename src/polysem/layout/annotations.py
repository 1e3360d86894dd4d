"""All that people said of the features of a dictionary: the labels of its CSV file, and notes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.layout.feature_labels import Label, read_labels
from polysem.layout.notes import Comment, Note, note_files, read_notes
from polysem.layout.place import LABELS, Place
from polysem.params.base import Section

WEIGHTS = ("sae_weights.safetensors", "model.safetensors")
"""Of the files that the receipt of tables names in `made_from`: by which of them notes know an SAE, or a model."""


@dataclass(frozen=True)
class FeatureAnnotations:
    """What people said of one feature."""

    labels: list[Label] = field(default_factory=list)
    """What it is called: rows of the CSV file, then labels of notes."""
    notes: list[Note] = field(default_factory=list)
    """Notes about these weights."""
    others: list[Note] = field(default_factory=list)
    """Notes about the feature of this number of another training."""

    @property
    def label(self) -> str:
        """The texts of all labels in one, each once; '' if there is none."""
        return "; ".join(dict.fromkeys(label.text for label in self.labels))

    @property
    def starred_by(self) -> list[str]:
        """The authors of its stars."""
        return [note.author for note in self.notes if note.star]

    @property
    def comments(self) -> list[tuple[str, Comment]]:
        """All comments with their authors, the oldest first."""
        said = [(note.author, comment) for note in self.notes for comment in note.comments]
        return sorted(said, key=lambda one: one[1].date)

    @property
    def is_there(self) -> bool:
        """Whether anything is said of this feature itself."""
        return bool(self.labels or self.notes)


class Annotations(Section):
    """All that people said of the features of a dictionary, whatever weights it is about: plain values, as rules pass
    them to steps."""

    labels: dict[int, list[Label]] = {}
    """Rows of the CSV file by feature: they know no weights."""
    notes: list[Note] = []

    @property
    def calling(self) -> "Annotations":
        """What features are called, and nothing else of it: figures show no more, so a star or a comment draws none
        again."""
        labels = {number: [Label(one.text, one.author, "") for one in own] for number, own in self.labels.items()}
        kept = [note for note in self.notes if note.label]
        plain = [note.model_copy(update={"star": False, "note": "", "comments": ()}) for note in kept]
        return Annotations(labels=labels, notes=plain)

    @property
    def is_empty(self) -> bool:
        """Whether nobody said anything."""
        return not (self.labels or self.notes)

    def about(self, receipt: Path, features: int | None = None) -> dict[int, FeatureAnnotations]:
        """As `about_weights`, of those that the tables with this receipt were measured of. Raises InputError for a
        receipt that does not tell them, too."""
        return self.about_weights(weights_of(receipt) if self.notes else "", features)

    def about_weights(self, weights: str, features: int | None = None) -> dict[int, FeatureAnnotations]:
        """What is said of each feature of these weights; features that notes of another training are about are among
        them.

        A label in a note counts in place of a row of the same author in the CSV file. `features` is how many the
        dictionary has, where that is known. Raises InputError for a feature that the dictionary lacks.
        """
        found: dict[int, FeatureAnnotations] = {}
        for note in self.notes:
            own = found.setdefault(note.feature, FeatureAnnotations())
            (own.notes if note.weights == weights else own.others).append(note)
        for number in {*self.labels, *found}:
            one = found.setdefault(number, FeatureAnnotations())
            again = {note.author for note in one.notes if note.label}
            one.labels.extend(label for label in self.labels.get(number, []) if label.author not in again)
            one.labels.extend(Label(note.label, note.author, note.note) for note in one.notes if note.label)
            if one.is_there and features is not None and number >= features:
                author = one.notes[0].author if one.notes else one.labels[0].author
                raise InputError(
                    f"{author} says something of feature {number}; the dictionary has 0 … {features - 1}, so correct "
                    f"the file below {LABELS}"
                )
        return dict(sorted(found.items()))


NOBODY = Annotations()
"""Nobody said anything."""


def labels_in(said: Mapping[int, FeatureAnnotations]) -> dict[int, str]:
    """What each feature is called that has a label, in one text."""
    return {number: one.label for number, one in said.items() if one.labels}


def read_annotations(place: Place, root: Path = Path(), features: int | None = None) -> Annotations:
    """All that people said of the features of a dictionary. `root` is the folder in which `labels/` lies; `features` is
    how many there are, where that is known. Raises InputError for files that `read_labels` and `read_notes` refuse."""
    return Annotations(labels=read_labels(root / place.labels, features), notes=read_notes(place, root))


def is_annotated(place: Place, root: Path = Path()) -> bool:
    """Whether there are files with labels or notes of a dictionary."""
    return (root / place.labels).is_file() or bool(note_files(place, root))


def weights_of(receipt: Path) -> str:
    """The sha256 of the weights that tables were measured of, by their receipt. InputError if it does not tell it."""
    try:
        made_from: Any = json.loads(receipt.read_text(encoding="utf-8"))["made_from"]
        if isinstance(made_from, Mapping):
            return str(next(made_from[name] for name in WEIGHTS if name in made_from))
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        pass
    raise InputError(
        f"{receipt} does not tell which weights the tables are of, and notes are about weights; run "
        "`snakemake --cores all`, which measures them"
    )
