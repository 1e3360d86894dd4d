"""The schema of the API (OpenAPI 3.1), made from what checks questions and from what answers are made of."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from polysem.explorer.api.features import NoteChange
from polysem.explorer.api.questions import JSON, is_list, parameters
from polysem.explorer.inference.jobs import ActivationsJob, Job, SearchJob
from polysem.explorer.security import TOKEN_HEADER
from polysem.layout.notes import Note
from polysem.params.meanings import WithMeanings
from polysem.study.search import SearchResults, TextActivations

IN_PATH = {"model": "string", "site": "string", "dictionary": "string", "feature": "integer"}
COMPONENTS = "#/components/schemas/{model}"
ERRORS = {
    400: "What was asked cannot be.",
    403: "The request is from another page, or is a write without the page's token.",
    404: "There is nothing of this name.",
    503: "There is no answer now; Retry-After says when to ask again.",
}


@dataclass(frozen=True)
class Activations:
    """The answer to a question for activations."""

    texts: list[TextActivations]
    """One for each text, in their order."""


@dataclass(frozen=True)
class Health:
    """What the server does."""

    server: str
    """`ready`."""
    study: str
    """What was opened."""
    inference: str
    """`starting`, `ready` or `busy`."""
    waiting: int
    """Questions that wait for an answer."""
    begins: int
    """How often the inference process began; above 1 where it died."""
    process: int | None
    """The number of the inference process; null while it begins."""


@dataclass(frozen=True)
class Named:
    """A label."""

    text: str
    """What a feature is called."""
    author: str
    """By whom."""
    note: str
    """More about it."""


@dataclass(frozen=True)
class Commented:
    """A comment."""

    author: str
    """By whom."""
    date: str
    """On which day."""
    text: str
    """What was said."""


@dataclass(frozen=True)
class Values:
    """A variable of a table, of one feature."""

    dimensions: list[str]
    """Names of its dimensions; along `feature` there is one value. docs/tables.md says what variables mean."""
    values: Any
    """Nested lists, null for numbers that are none; a single value where there are no dimensions."""


@dataclass(frozen=True)
class FeatureAnswer:
    """A feature: what was measured of it, and what people say."""

    model: str
    """Name of the model."""
    site: str
    """Hook name of the site."""
    dictionary: str
    """Name of the dictionary."""
    feature: int
    """Its number."""
    labels: list[Named]
    """What it is called."""
    starred_by: list[str]
    """Who starred it."""
    comments: list[Commented]
    """The oldest first."""
    tables: dict[str, dict[str, Values]]
    """By table and variable: what is of the feature, and the coordinates along it."""


@dataclass(frozen=True)
class NoteAnswer:
    """What the author of the explorer says of a feature now."""

    note: Note | None
    """As its file has it; null where nothing is said any more, and there is no file."""


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer."""

    error: str
    """One sentence: what was found, what is allowed, what to do."""


async def schema(request: Request) -> Response:
    """The schema itself."""
    parameters(request, None)
    return JSONResponse(described())


@cache
def described() -> dict[str, Any]:
    """The whole schema as plain values."""
    components: dict[str, Any] = {}
    paths = {
        "/api/search": {"get": _asked("The features that are strongest on a text.", SearchResults, components)},
        "/api/activations": {
            "post": _asked("Activations of some features of a dictionary on some texts.", Activations, components)
        },
        "/api/feature/{model}/{site}/{dictionary}/{feature}": {
            "get": _asked("What was measured of a feature, and what people say of it.", FeatureAnswer, components)
        },
        "/api/notes": {
            "post": _asked(
                "Change what the author says of a feature: what is null stays. It needs the headers Origin, "
                f"Sec-Fetch-Site: same-origin and {TOKEN_HEADER}.",
                NoteAnswer,
                components,
            )
        },
        "/api/health": {"get": _asked("Whether the server answers; it does at once.", Health, components)},
    }
    paths["/api/search"]["get"]["parameters"] = _parameters(SearchJob)
    (feature,) = (path for path in paths if "{" in path)
    paths[feature]["get"]["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": kind}} for name, kind in IN_PATH.items()
    ]
    for path, job in (("/api/activations", ActivationsJob), ("/api/notes", NoteChange)):
        body = {"schema": _component(job, components)}
        paths[path]["post"]["requestBody"] = {"required": True, "content": {JSON: body}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "polysem explore", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _asked(summary: str, answer: type, components: dict[str, Any]) -> dict[str, Any]:
    refusal = {"content": {JSON: {"schema": _component(Refusal, components)}}}
    good = {"description": "The answer.", "content": {JSON: {"schema": _component(answer, components)}}}
    bad = {str(status): {"description": said, **refusal} for status, said in ERRORS.items()}
    return {"summary": summary, "responses": {"200": good, **bad}}


def _parameters(job: type[Job]) -> list[dict[str, Any]]:
    found = job.model_json_schema(schema_generator=WithMeanings)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in found.get("required", ()),
            "description": " ".join(schema.pop("description", "").split()),
            "schema": _without_null(schema) if is_list(job.model_fields[name]) else schema,
        }
        for name, schema in found["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list that may be left out: an address cannot say null."""
    (listed,) = [one for one in schema["anyOf"] if one.get("type") == "array"]
    return dict(listed)


def _component(described: type, components: dict[str, Any]) -> dict[str, str]:
    """A reference to a type's schema, which is put among the components."""
    found = TypeAdapter(described).json_schema(
        ref_template=COMPONENTS, mode="serialization", schema_generator=WithMeanings
    )
    components |= found.pop("$defs", {}) | {described.__name__: found}
    return {"$ref": COMPONENTS.format(model=described.__name__)}


for _one in (
    Activations, Commented, FeatureAnswer, Health, Named, NoteAnswer, Refusal, SearchResults, TextActivations, Values,
):  # fmt: skip
    _one.__pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # type: ignore[union-attr]
