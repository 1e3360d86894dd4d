"""What a run shows of every line of the catalogue, and why it shows nothing where it does."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from polysem.layout.place import Place
from polysem.report.catalogue import DOCUMENTS, ENTRIES, Entry
from polysem.report.features import Feature
from polysem.report.gallery import Picture
from polysem.report.ledger import Claim
from polysem.report.numbers import KNOWN, Board, board


class Case(NamedTuple):
    """A feature with a page of its own that shows everything that was measured of it."""

    words: str
    """Its tag, or which feature it is."""
    address: str
    """From the root of the report."""


@dataclass(frozen=True)
class Run:
    """What the pages are made of: all that a run made, by what it is."""

    origins: list[Place]
    pictures: dict[str, Picture]
    metrics: dict[str, Any]
    claims: list[Claim]
    params: dict[str, Any]
    sheets: dict[Place, int] = field(default_factory=dict)
    """How many features of a dictionary have a sheet."""
    labels: dict[Place, int] = field(default_factory=dict)
    """How many labels a dictionary has."""
    annotated: dict[Place, list[Feature]] = field(default_factory=dict)
    """The features of a dictionary that people starred, labelled or commented."""
    others: dict[Place, int] = field(default_factory=dict)
    """How many notes are about another training of a dictionary."""
    cases: dict[str, list[Case]] = field(default_factory=dict)
    """The case studies of each model that has any."""
    rubrics: list[str] = field(default_factory=list)
    """The models that have a rubric sheet."""

    def numbers(self, origin: Place) -> dict[str, Any]:
        """The metrics of one dictionary."""
        return self.metrics.get(origin.model, {}).get(origin.site, {}).get(origin.dictionary, {})

    def known(self) -> dict[str, dict[str, Any]]:
        """Metrics of SAEs on known features, by toy and SAE."""
        return {
            f"{toy} / {sae}": numbers
            for toy, sites in self.metrics.items()
            for sae, numbers in sites.get(KNOWN, {}).items()
        }


@dataclass(frozen=True)
class Article:
    """One catalogue id in the report."""

    entry: Entry
    claims: list[Claim]
    pictures: list[Picture]
    numbers: Board
    having: list[Place]
    """Dictionaries that have what the entry is about, where it is an option, a site, sheets or labels."""
    reasons: dict[str, list[Place]]
    """Why figures were not drawn, and for whom."""
    answered: bool


@dataclass(frozen=True)
class Chapter:
    """A document."""

    document: str
    title: str
    articles: list[Article]


def read_chapters(run: Run) -> list[Chapter]:
    """All documents with all their ids, whatever the run made."""
    articles = [_article(entry, run) for entry in ENTRIES.values()]
    return [
        Chapter(document, title, [one for one in articles if one.entry.document == document])
        for document, title in DOCUMENTS.items()
    ]


def _article(entry: Entry, run: Run) -> Article:
    claims = [claim for claim in run.claims if claim.entry == entry.id]
    pictures = [one for one in run.pictures.values() if entry.id in one.catalogue or one.name in entry.figures]
    having = _having(entry, run)
    numbers = _numbers(entry, claims, having, run)
    reasons: dict[str, list[Place]] = {}
    for picture in pictures:
        for origin, shown in picture.shown.items():
            if shown.reason:
                others = reasons.setdefault(shown.reason, [])
                others += [] if origin in others else [origin]
    if entry.tool:
        answered = True
    elif entry.cases:
        answered = bool(run.cases)
    elif entry.settings or entry.sites or entry.sheets or entry.labels:
        answered = bool(having)
    elif pictures:
        answered = any(picture.drawn for picture in pictures)
    else:
        answered = bool(numbers.rows)
    return Article(entry, claims, pictures, numbers, having, reasons, answered)


def _having(entry: Entry, run: Run) -> list[Place]:
    if entry.sheets:
        return [origin for origin in run.origins if run.sheets.get(origin)]
    if entry.labels:
        return [origin for origin in run.origins if run.labels.get(origin)]
    if entry.sites:
        return [origin for origin in run.origins if origin.site.endswith(entry.sites)]
    recipes = run.params.get("saes", {})
    return [
        origin
        for origin in run.origins
        if any(setting.chosen(recipes.get(origin.dictionary, {})) for setting in entry.settings)
    ]


def _numbers(entry: Entry, claims: list[Claim], having: list[Place], run: Run) -> Board:
    """The entry's metrics and those of its claims, of every dictionary that has one of them; of an option, only at
    sites where an SAE has it, so that it is compared with the others there."""
    if entry.toys:
        known = run.known()
        names = list(dict.fromkeys(name for numbers in known.values() for name in numbers))
        return board(known, names, known, len(names))
    names = list(dict.fromkeys([*entry.metrics, *(claim.metric for claim in claims if claim.metric)]))
    places = {(origin.model, origin.site) for origin in having}
    limited = bool(entry.settings or entry.sites)
    rows = {
        origin.path: run.numbers(origin)
        for origin in run.origins
        if not limited or (origin.model, origin.site) in places
    }
    rows = {path: found for path, found in rows.items() if any(found.get(name) is not None for name in names)}
    there = [name for name in names if any(numbers.get(name) is not None for numbers in rows.values())]
    return board(rows, there, rows, len(there))


def models_of(run: Run) -> dict[str, dict[str, list[Place]]]:
    """Dictionaries by model and site, in the order of the run."""
    models: dict[str, dict[str, list[Place]]] = {}
    for origin in run.origins:
        models.setdefault(origin.model, {}).setdefault(origin.site, []).append(origin)
    return models
