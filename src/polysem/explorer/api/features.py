"""What was measured of a feature, and what people say of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, StrictInt, StrictStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from polysem.explorer.api.questions import body, parameters
from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import checked
from polysem.explorer.pages.shown import UNSAID, Shown, ShownDictionary
from polysem.index.stored_rows import Variable
from polysem.io.columns import FEATURE, Columns
from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations, weights_of
from polysem.layout.notes import write_note
from polysem.params.base import Section
from polysem.study.names import UnknownNameError, as_number

LONGEST_NUMBER = 12
"""Digits that no number of a feature has."""


class NoteChange(Section):
    """What the author of the explorer has to say of a feature; what is null stays as it is."""

    place: str
    """model/site/dictionary, a dictionary of the study."""
    feature: StrictInt = Field(ge=0)
    """Its number."""
    star: StrictBool | None = None
    """Whether it is starred."""
    label: StrictStr | None = None
    """What it is called; an empty text takes the label away."""
    note: StrictStr | None = None
    """More about the label."""
    comment: StrictStr | None = None
    """A comment to add to those that are there."""


async def feature(request: Request) -> Response:
    """The rows of one feature in all tables, with labels, stars and comments."""
    parameters(request, None)
    names = [request.path_params[key] for key in ("model", "site", "dictionary", "feature")]
    request.app.state.explorer.require_measured(*names[:3])
    return JSONResponse(await run_in_threadpool(_described, request.app.state.shown(), *names))


async def note(request: Request) -> Response:
    """Change what the author of the explorer says of a feature; what stands there now."""
    parameters(request, None)
    change = checked(NoteChange, await body(request), "notes")
    return JSONResponse({"note": await run_in_threadpool(_noted, request.app.state.explorer, change)})


def _described(shown: Shown, model: str, site: str, dictionary: str, number: str) -> dict[str, Any]:
    found = shown.dictionary(model, site, dictionary)
    feature = _number(number, found)
    said = found.said.get(feature, UNSAID)
    rows = found.index.rows(feature)
    tables = {table: _own(columns, found.index.variables(table)) for table, columns in rows.items()}
    names = {"model": model, "site": site, "dictionary": dictionary, "feature": feature}
    return {**names, **_said(said), "tables": tables}


def _own(columns: Columns, variables: Mapping[str, Variable]) -> dict[str, Any]:
    """What a table has of the feature, and the coordinates along it; not what it has of others, such as those that
    figures show, or of the whole dictionary."""
    dimensions = {name: tuple(variables[name].dimensions) for name in columns.arrays}
    along = {one for name in dimensions if FEATURE in dimensions[name] for one in dimensions[name]}
    kept = [name for name, own in dimensions.items() if FEATURE in own or (own == (name,) and name in along)]
    return {name: {"dimensions": dimensions[name], "values": _plain(columns.arrays[name])} for name in kept}


def _said(said: FeatureAnnotations) -> dict[str, Any]:
    return {
        "labels": [{"text": one.text, "author": one.author, "note": one.note} for one in said.labels],
        "starred_by": said.starred_by,
        "comments": [{"author": author, "date": one.date, "text": one.text} for author, one in said.comments],
    }


def _number(text: str, dictionary: ShownDictionary) -> int:
    if len(text) < LONGEST_NUMBER and text.isascii() and text.isdigit() and (number := int(text)) < dictionary.features:
        return number
    raise UnknownNameError(f"{dictionary.place.path} has no feature {text!r}; it has 0 … {dictionary.features - 1}")


def _plain(values: NDArray[Any]) -> Any:
    """An array as plain lists; numbers that are none as null, as JSON has no word for them."""
    if values.dtype.kind != "f":
        return values.tolist()
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()


def _noted(explorer: Explorer, change: NoteChange) -> dict[str, Any] | None:
    if not explorer.author:
        raise InputError("nobody is named who could write this; start `polysem explore` with --author")
    names = change.place.split("/")
    if len(names) != 3:
        raise InputError(f"place is {change.place!r}; it is model/site/dictionary")
    explorer.require_measured(*names)
    model, site, dictionary = names
    found = explorer.study[model][site][dictionary]
    results = found.site.results
    number = found.feature(as_number(change.feature, "feature", change.place)).number
    written = write_note(
        found.place,
        number,
        explorer.author,
        weights_of(results.bring(found.place.tables_receipt)),
        **change.model_dump(exclude={"place", "feature"}),
        root=Path(results.root).parent,
    )
    return None if written is None else written.values()
