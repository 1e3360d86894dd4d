"""U2: the page of a feature, its sheet with a box in which texts are tried."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import TEXT, ActivationsJob
from polysem.explorer.pages.query import checked
from polysem.explorer.pages.rendering import PART_HEADER, rendered
from polysem.explorer.pages.sheet import page_values
from polysem.explorer.pages.shown import Shown, ShownDictionary
from polysem.io.errors import InputError
from polysem.report.contexts import TextContexts, context
from polysem.report.numbers import in_words
from polysem.study.names import UnknownNameError

MOST = 8
"""Texts that stand side by side."""
DIGITS = 12
"""No number of a feature has as many."""


@dataclass(frozen=True)
class Tried:
    """A text, shaded by the feature's activations."""

    text: str = ""
    shaded: str = ""
    strongest: str = ""
    error: str = ""


async def feature_page(request: Request) -> Response:
    """The page of one feature; of a script that asks for it, one text tried."""
    shown: Shown = request.state.shown
    names = request.path_params
    dictionary = shown.dictionary(names["model"], names["site"], names["dictionary"])
    feature = _number(names["feature"], dictionary)
    texts = [text.replace("\r\n", "\n") for text in request.query_params.getlist("text")][:MOST]
    tries = await _tried(request.app.state.explorer, dictionary, feature, texts)
    if request.headers.get(PART_HEADER) == "tried":
        return rendered(request, "tried.html.j2", tried=tries[0])
    values = await run_in_threadpool(page_values, request.app.state.explorer, shown, dictionary, feature)
    carried = "?" + urlencode([("text", text) for text in texts]) if texts else ""
    return rendered(request, "feature.html.j2", **values, tries=tries, carried=carried, most=MOST, limit=TEXT)


async def _tried(explorer: Explorer, dictionary: ShownDictionary, feature: int, texts: list[str]) -> list[Tried]:
    """The texts, shaded, and one empty one if there is none; blank ones as they are."""
    asked = [text for text in texts if text.strip()]
    contexts = dictionary.contexts
    if not asked or not isinstance(contexts, TextContexts):
        return [Tried(text) for text in texts] or [Tried()]
    try:
        job = checked(ActivationsJob, {"place": dictionary.place.path, "features": (feature,), "texts": asked}, "try")
        found = json.loads(await explorer.inference.activations(job))["texts"]
    except InputError as refusal:
        return [Tried(text, error=str(refusal)) for text in texts]
    shaded = iter([_shaded(contexts, one, dictionary.largest(feature)) for one in found])
    return [Tried(text, *next(shaded)) if text.strip() else Tried(text) for text in texts]


def _shaded(contexts: TextContexts, found: dict[str, Any], largest: float) -> tuple[Markup, Markup]:
    """The text as HTML, and its strongest token in words."""
    values = np.array([np.nan if value is None else value for value in found["activations"][0]], np.float64)
    counted = np.where(found["counted"], values, -np.inf)
    key = int(counted.argmax())
    decoded = contexts.decoded(found["ids"])
    active = bool(counted[key] > 0)
    html = context(decoded, values.tolist(), (np.arange(len(values)) - (key if active else -1)).tolist(), largest)
    if not active:
        return html, Markup("Not active on this text.")
    share = Markup(", {:.3g} % of its largest activation").format(100 * counted[key] / largest) if largest else ""
    strongest = contexts.name(found["ids"][key])
    return html, Markup("{} on {}{}").format(in_words(float(counted[key])), strongest, share)


def _number(text: str, dictionary: ShownDictionary) -> int:
    if len(text) < DIGITS and text.isascii() and text.isdigit() and (number := int(text)) < dictionary.features:
        return number
    raise UnknownNameError(
        f"{dictionary.place.path} has no {dictionary.word} {text!r}; it has 0 … {dictionary.features - 1}"
    )
