"""The ledger of published numbers, `workflow/claims.yaml`: read and checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from polysem.io.errors import InputError
from polysem.params.base import Section
from polysem.params.explain import explain, nearest
from polysem.params.spelling import read_yaml

ENTRY = r"S[0-4]\.[FTMUX][0-9]+[a-z]?"
"""An id of the catalogue: document, kind and number."""
Text = Annotated[str, StringConstraints(min_length=1)]
S = TypeVar("S", bound=Section)
Compare = Literal["near", "at_least", "at_most", "equal"]


class Document(Section):
    """Where numbers were published."""

    title: Text
    preset: Text
    """The params file whose run checks them."""


class Place(Section):
    """Where `metrics.json` has the run's number."""

    model: Text
    site: Text
    dictionary: Text
    metric: Text


class Claim(Section):
    """One published number."""

    id: Annotated[str, StringConstraints(pattern=rf"^{ENTRY}(-[a-z0-9.]+)*$")]
    """Catalogue id, with a suffix where one entry has several numbers."""
    statement: Text
    """What is claimed, in our own words."""
    document: Text
    """Key under `documents:`; a number may be stated in another document than the one it is about."""
    published: float | Text
    """The number, or the word (`compare: equal`), that was published."""
    compare: Compare = "near"
    """`near`: within the tolerance; `at_least` and `at_most`: published as a bound; `equal`: a word."""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Largest distance of a reproduction, in the unit of the number."""
    because: Text | None = None
    """Why the tolerance is what it is."""
    unit: Text = "1"
    where: Place | None = None
    unmeasured: Text | None = None
    """In place of `where`: why no number of a run stands beside this one, and what shows it instead."""
    note: str = ""
    """What was converted, and what a reader should know of the comparison."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.where is None) == (self.unmeasured is None):
            raise ValueError("give one of where and unmeasured")
        if (self.tolerance is None) == (self.compare == "near"):
            raise ValueError("tolerance belongs to compare: near, which needs one")
        if (self.tolerance is None) != (self.because is None):
            raise ValueError("because says why the tolerance is what it is; give both or none")
        if isinstance(self.published, str) != (self.compare == "equal"):
            raise ValueError("a word goes with compare: equal, a number with the others")
        return self

    @property
    def entry(self) -> str:
        """The id of the catalogue that it belongs to."""
        return self.id.split("-")[0]


class Ledger(Section):
    """All of `claims.yaml`."""

    documents: dict[str, Document]
    claims: list[Claim]


def read_ledger(path: Path) -> Ledger:
    """The claims of a file. InputError names the first claim and key that is wrong, and what is allowed."""
    raw = read_yaml(path).plain()
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected the keys {', '.join(Ledger.model_fields)}, found no mapping")
    for key in raw:
        if key not in Ledger.model_fields:
            raise InputError(f"{path}: unknown key {key!r}{nearest(str(key), list(Ledger.model_fields))}")
    documents = {name: _checked(Document, entry, f"documents.{name}") for name, entry in _documents(raw, path)}
    entries = raw.get("claims")
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of claims under `claims`, found {entries!r}")
    claims = [_checked(Claim, entry, f"claims.{_name(entry, number)}") for number, entry in enumerate(entries)]
    for number, claim in enumerate(claims):
        if any(claim.id == other.id for other in claims[:number]):
            raise InputError(
                f"{path}: claims.{claim.id} stands there twice; ids get a suffix, as in {claim.entry}-word"
            )
        if claim.document not in documents:
            known = list(documents)
            raise InputError(
                f"claims.{claim.id}.document names {claim.document!r}{nearest(claim.document, known)}; documents are "
                f"{', '.join(known)}"
            )
    return Ledger(documents=documents, claims=claims)


def _documents(raw: dict[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    found = raw.get("documents")
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected documents by name under `documents`, found {found!r}")
    yield from found.items()


def _name(entry: Any, number: int) -> str:
    return str(entry["id"]) if isinstance(entry, dict) and "id" in entry else str(number)


def _checked(section: type[S], values: Any, where: str) -> S:
    if not isinstance(values, dict):
        raise InputError(f"{where}: expected keys and values, found {values!r}")
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, section, where)) from None
