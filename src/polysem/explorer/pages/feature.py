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

from polysem.explorer.api.errors import STATUSES
from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import TEXT, ActivationsJob, checked
from polysem.explorer.pages.importance import found_alike, measured_importance
from polysem.explorer.pages.rendering import rendered
from polysem.explorer.pages.sheet import page_values
from polysem.explorer.pages.shown import Shown, word_of
from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.report.contexts import ImageContexts, TextContexts, context
from polysem.report.numbers import in_words
from polysem.study.names import UnknownNameError

MOST = 8
"""Texts that stand side by side."""
WITH_IMPORTANCE = "importance"
"""The parameter by which a page is asked for with what the run did not measure."""
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
    """The page of one feature, with the texts in the address tried."""
    explorer: Explorer = request.app.state.explorer
    asked = _asked(request)
    tries = await _tried(explorer, asked)
    shared: dict[str, Any] = {"tries": tries, "most": MOST, "limit": TEXT}
    if asked.added:
        return rendered(request, "added.html.j2", **shared, facts=asked.added, feature=asked.feature)
    shown: Shown = request.state.shown
    dictionary = shown.dictionary(*asked.place.names)
    is_measured = WITH_IMPORTANCE in request.query_params and isinstance(asked.contexts, TextContexts)
    importance = await measured_importance(explorer, dictionary, asked.feature) if is_measured else {}
    similar = await found_alike(explorer, dictionary, asked.feature) if is_measured else {}
    values = await run_in_threadpool(page_values, explorer, shown, dictionary, asked.feature, importance, similar)
    carried = "?" + urlencode([("text", text) for text in asked.texts]) if asked.texts else ""
    return rendered(request, "feature.html.j2", **values, **shared, carried=carried, is_measured=is_measured)


async def tried_text(request: Request) -> Response:
    """One text tried, as the page shows it: what scripts ask for while somebody types."""
    tries = await _tried(request.app.state.explorer, _asked(request))
    return rendered(request, "tried.html.j2", tried=tries[0])


@dataclass(frozen=True)
class Asked:
    """A feature and the texts that are tried on it."""

    place: Place
    feature: int
    texts: list[str]
    contexts: TextContexts | ImageContexts
    largest: float | None
    """Its largest activation on eval tokens; None where it was not measured."""
    added: dict[str, Any] | None
    """What is known of an SAE that was added; None of one of the study."""


def _asked(request: Request) -> Asked:
    """What the address says. UnknownNameError, with the nearest name, for what there is not."""
    shown: Shown = request.state.shown
    names = [request.path_params[key] for key in ("model", "site", "dictionary")]
    number = request.path_params["feature"]
    texts = [text.replace("\r\n", "\n") for text in request.query_params.getlist("text")]
    if len(texts) > MOST:
        raise InputError(f"the address has {len(texts)} texts, and {MOST} stand side by side; leave some of them out")
    if facts := request.app.state.explorer.added(*names):
        place = shown.study.results.place(*names)
        feature = _number(number, place, facts["features"])
        return Asked(place, feature, texts, shown.contexts(place.model), None, facts)
    dictionary = shown.dictionary(*names)
    feature = _number(number, dictionary.place, dictionary.features)
    return Asked(dictionary.place, feature, texts, dictionary.contexts, dictionary.largest(feature), None)


async def _tried(explorer: Explorer, asked: Asked) -> list[Tried]:
    """The texts, shaded, and one empty one if there is none; blank ones as they are."""
    texts = [text for text in asked.texts if text.strip()]
    contexts = asked.contexts
    if not texts or not isinstance(contexts, TextContexts):
        return [Tried(text) for text in asked.texts] or [Tried()]
    try:
        job = checked(ActivationsJob, {"place": asked.place.path, "features": (asked.feature,), "texts": texts}, "try")
        found = json.loads(await explorer.inference.activations(job))["texts"]
    except tuple(STATUSES) as refusal:
        return [Tried(text, error=str(refusal)) for text in asked.texts]
    shaded = iter([_shaded(contexts, one, asked.largest) for one in found])
    return [Tried(text, *next(shaded)) if text.strip() else Tried(text) for text in asked.texts]


def _shaded(contexts: TextContexts, found: dict[str, Any], largest: float | None) -> tuple[Markup, Markup]:
    """The text as HTML, and its strongest token in words; shaded by the largest activation on it if that of the
    feature is not known."""
    activations = np.array(found["activations"][0])
    counted = np.where(found["counted"], activations, -np.inf)
    key = int(counted.argmax())
    is_active = bool(counted[key] > 0)
    offsets = (np.arange(len(activations)) - (key if is_active else -1)).tolist()
    maximum = max(0.0, float(counted[key])) if largest is None else largest
    html = context(contexts.decoded(found["ids"]), activations.tolist(), offsets, maximum)
    if not is_active:
        return html, Markup("Not active on this text.")
    share = Markup(", {:.3g} % of its largest activation").format(100 * counted[key] / largest) if largest else ""
    strongest = contexts.name(found["ids"][key])
    return html, Markup("{} on {}{}").format(in_words(float(counted[key])), strongest, share)


def _number(text: str, place: Place, features: int) -> int:
    if len(text) < DIGITS and text.isascii() and text.isdigit() and (number := int(text)) < features:
        return number
    raise UnknownNameError(f"{place.path} has no {word_of(place)} {text!r}; it has 0 … {features - 1}")
