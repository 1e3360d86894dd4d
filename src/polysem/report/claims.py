"""The ledger of published numbers, `workflow/claims.yaml`: read and checked."""

from collections.abc import Iterator
from math import log10
from pathlib import Path
from statistics import fmean, stdev
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
Basis = Literal["count", "digit", "seeds", "words"]
WIDEST = 0.25
"""The widest tolerance, as a share of the published number: a wider one is a reproduction of nothing."""
SPREADS = 3
"""Standard deviations of the published seeds."""
NEARLY = 0.01
"""Share by which numbers of the ledger may differ from computed ones: they are typed with few digits."""
ROUNDED = 0.2
"""Share of the last digit by which a converted number may miss it."""


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
    basis: Basis | None = None
    """What the tolerance follows from. `count`: a count or an index, which is met or not; `digit`: half of the last
    published digit; `seeds`: three standard deviations of the published `seeds`; `words`: what words of the document
    allow, which `because` quotes."""
    because: Text | None = None
    """Why the tolerance is what it is."""
    factor: Annotated[float, Field(gt=0)] = 1.0
    """What the published number was multiplied by to be in the unit of the metric; its last digit is that before."""
    seeds: Annotated[list[float], Field(min_length=2)] | None = None
    """The published number of each seed, where `basis` is `seeds`."""
    close: Annotated[float, Field(gt=0)] | None = None
    """Distance up to which a number that is no reproduction is called close."""
    close_because: Text | None = None
    """Why that is close."""
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
        if (self.tolerance is None) != (self.because is None) or (self.tolerance is None) != (self.basis is None):
            raise ValueError("basis and because say why the tolerance is what it is; give all three or none")
        if isinstance(self.published, str) != (self.compare == "equal"):
            raise ValueError("a word goes with compare: equal, a number with the others")
        if (self.close is None) != (self.close_because is None):
            raise ValueError("close_because says why a number at the distance of close is close; give both or none")
        if self.close is not None and (self.tolerance is None or self.close <= self.tolerance):
            raise ValueError("close belongs to compare: near, and is wider than the tolerance")
        if (self.seeds is None) == (self.basis == "seeds"):
            raise ValueError("seeds are given with basis: seeds, and only with it")
        if self.tolerance is not None and (problem := self._unfounded(self.tolerance)):
            raise ValueError(f"tolerance {self.tolerance:g}: {problem}")
        return self

    def _unfounded(self, tolerance: float) -> str:
        """Why the tolerance does not follow from its basis; empty if it does."""
        published = float(self.published)
        if self.basis == "count":
            return "" if tolerance == 0 else "a count is met or not, its tolerance is 0"
        if self.basis == "digit":
            digit, shown = 2 * tolerance / self.factor, published / self.factor
            if digit <= 0 or abs(log10(digit) - round(log10(digit))) > NEARLY:
                return f"it is not half of a digit in the unit of the document (factor {self.factor:g})"
            if abs(shown - digit * round(shown / digit)) > ROUNDED * digit:
                return f"{shown:g} has digits below {digit:g}"
        if self.basis == "seeds" and self.seeds is not None:
            if tolerance > (1 + NEARLY) * SPREADS * stdev(self.seeds):
                return f"{SPREADS} standard deviations of the seeds are {SPREADS * stdev(self.seeds):.3g}"
            if abs(published - fmean(self.seeds)) > tolerance / SPREADS:
                return f"the mean of the seeds is {fmean(self.seeds):g}"
        if self.basis == "words" and '"' not in str(self.because):
            return "because quotes no words of the document"
        if tolerance > (1 + NEARLY) * WIDEST * abs(published):
            return f"more than {100 * WIDEST:g} % of the published number; what lies further away can be close, no more"
        return ""

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
    raw = read_yaml(path, "get it back with `git checkout`").plain()
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
