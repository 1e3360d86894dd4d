"""S1.F10: scores that people give on the rubric sheet of a model, in git; a file for each author and sheet."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, StrictStr, model_validator

from polysem.io.errors import InputError
from polysem.layout.json_sections import Name, Prose, json_files, read_section, sha256
from polysem.layout.place import Place
from polysem.params.base import Section

CRITERIA: Mapping[str, int] = MappingProxyType(
    {"confidence": 3, "activation_consistency": 5, "logit_consistency": 3, "specificity": 3}
)
"""What an item is scored by, and the most points of each. Source: Bricken et al. (2023), human analysis."""
MOST = sum(CRITERIA.values())
DIGITS = 16
"""Of the digest that names an item."""
LARGEST_FILE = 1_000_000
"""Bytes."""
_EXPECTED = "the rubric sheet saves a JSON object with model, author, sheet and scores"


def item_name(place: Place, feature: int, weights: str) -> str:
    """What a feature or neuron is called on the sheet, where nothing is to tell what it is: a digest of its dictionary,
    its number and the sha256 of the weights, so that features of another training are other items."""
    return hashlib.sha256(json.dumps([place.path, feature, weights]).encode()).hexdigest()[:DIGITS]


def sheet_name(items: Iterable[str]) -> str:
    """The sha256 by which a sheet with these items is known."""
    return hashlib.sha256(json.dumps(sorted(items)).encode()).hexdigest()


def item_digest(text: str) -> str:
    """The same; ValueError for what names no item."""
    if not re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", text):
        raise ValueError(f"{text[:80]!r} names no item; names have {DIGITS} digits and letters from a to f")
    return text


class ItemScores(Section):
    """What an author thinks of one item."""

    item: Annotated[StrictStr, AfterValidator(item_digest)]
    explanation: Prose
    """What the item is active on; '' if the author found nothing."""
    confidence: Annotated[StrictInt, Field(ge=0, le=CRITERIA["confidence"])]
    """In the explanation."""
    activation_consistency: Annotated[StrictInt, Field(ge=0, le=CRITERIA["activation_consistency"])]
    """How well it fits the examples."""
    logit_consistency: Annotated[StrictInt, Field(ge=0, le=CRITERIA["logit_consistency"])]
    """How well it fits the tokens that the item makes likelier."""
    specificity: Annotated[StrictInt, Field(ge=0, le=CRITERIA["specificity"])]
    """How narrow it is."""

    @model_validator(mode="after")
    def _require_explanation(self) -> "ItemScores":
        if any(self.points) and not self.explanation:
            raise ValueError(f"item {self.item} has points and no explanation that they are for; write one, or give 0")
        return self

    @property
    def points(self) -> list[int]:
        """In the order of `CRITERIA`."""
        return [getattr(self, name) for name in CRITERIA]


class Scores(Section):
    """What one author gave on one sheet."""

    model: StrictStr
    author: Name
    sheet: Annotated[StrictStr, AfterValidator(sha256)]
    """The name of the sheet (`sheet_name`)."""
    scores: Annotated[tuple[ItemScores, ...], Field(min_length=1, max_length=10_000)]


def read_scores(place: Place, root: Path = Path()) -> list[Scores]:
    """All scores of a model, by author and sheet. `root` is the folder in which `labels/` lies.

    Raises InputError, naming file and line or key, for a file that is too large, no JSON, or no scores, for scores of
    another model, and for an item that an author scores twice, in one file or in two.
    """
    found: list[Scores] = []
    seen: dict[tuple[str, str], Path] = {}
    for file in score_files(place, root):
        read = read_section(file, Scores, "score file", _EXPECTED, LARGEST_FILE)
        if read.model != place.model:
            raise InputError(
                f"{file} has scores of the model {read.model[:80]!r}, and this is the folder of {place.model}; move it"
            )
        for one in read.scores:
            if (read.author, one.item) in seen:
                files = " and in ".join(dict.fromkeys([seen[read.author, one.item].name, file.name]))
                raise InputError(
                    f"{place.rubric}: {read.author} scores the item {one.item} twice, in {files}; keep the scores that "
                    "count"
                )
            seen[read.author, one.item] = file
        found.append(read)
    return sorted(found, key=lambda one: (one.author, one.sheet))


def score_files(place: Place, root: Path = Path()) -> list[Path]:
    """The files of these scores, sorted."""
    return json_files(root / place.rubric)


def require_known_items(scores: Iterable[Scores], sheet: str, items: Iterable[str], model: str) -> None:
    """InputError for scores on this very sheet of an item that it does not have: the file was changed by hand."""
    known = set(items)
    for read in scores:
        strange = [one.item for one in read.scores if read.sheet == sheet and one.item not in known]
        if strange:
            raise InputError(
                f"{read.author} scores the item {strange[0]}, and the rubric sheet of {model} has none of this name; "
                f"save the scores again from its page, and put that file into {Place(model).rubric}"
            )
