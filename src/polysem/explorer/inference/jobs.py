"""What the inference process is asked, as values that both sides can hold; no torch."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from polysem.io.errors import InputError
from polysem.params.base import Section
from polysem.params.explain import explain
from polysem.study.additions import Addition
from polysem.study.search import TEXT, Place, Query, ReadText

__all__ = [
    "FEATURES", "QUESTIONS", "TEXT", "TEXTS", "ActivationsJob", "ImportanceJob", "Job", "SearchJob", "SimilarJob",
    "Start", "checked",
]  # fmt: skip

TEXTS, FEATURES = 64, 64
"""Texts and features of one test, at most."""
Job = Section
"""Equal jobs have the same answer."""
J = TypeVar("J", bound=Job)


class SearchJob(Query):
    """A search in a language model of the study."""

    model: str
    """Name of the model."""


class ActivationsJob(Job):
    """Activations of some features of one dictionary on some texts."""

    place: str
    """model/site/dictionary."""
    features: Annotated[tuple[Place, ...], Field(min_length=1, max_length=FEATURES)]
    """Features, by their numbers."""
    texts: Annotated[tuple[ReadText, ...], Field(min_length=1, max_length=TEXTS)]
    """Each up to 800 characters long."""


class ImportanceJob(Job):
    """How much each token in front of some key tokens matters for a feature's activation there."""

    place: str
    """model/site/dictionary, a dictionary of the study."""
    feature: Place
    """Its number."""
    sequences: Annotated[tuple[Place, ...], Field(min_length=1, max_length=TEXTS)]
    """Where the key tokens stand: sequences of the eval split."""
    positions: Annotated[tuple[Place, ...], Field(min_length=1, max_length=TEXTS)]
    """Positions in these."""
    before: Annotated[int, Field(ge=0, le=TEXT)]
    """Tokens in front of each that are tried."""


class SimilarJob(Job):
    """Clusters of other features that are like those of a feature."""

    place: str
    """model/site/dictionary, a dictionary of the study."""
    feature: Place
    """Its number."""


QUESTIONS: dict[str, type[Job]] = {
    "search": SearchJob,
    "activations": ActivationsJob,
    "importance": ImportanceJob,
    "similar": SimilarJob,
}
"""What can be asked, by the word that a message names it by."""


class Start(Section):
    """What the process begins with."""

    results: str
    """The results folder, or that of the repository."""
    threads: int
    """Threads that its products run in."""
    added: tuple[Addition, ...] = ()
    """SAEs beside those of the study."""


def checked(job: type[J], values: Mapping[str, Any], where: str) -> J:
    """The job of these values; InputError, a sentence, if it cannot be asked."""
    try:
        return job.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, job, where)) from None
