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
from polysem.explorer.inference.client import BrokenError, BusyError
from polysem.explorer.inference.jobs import TEXT, ActivationsJob
from polysem.explorer.pages.form import checked
from polysem.explorer.pages.rendering import PART_HEADER, rendered
from polysem.explorer.pages.sheet import page_values
from polysem.explorer.pages.shown import Shown, word_of
from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.report.contexts import TextContexts, context
from polysem.report.numbers import in_words
from polysem.study.names import UnknownNameError

MOST = 8
"""Texts that stand side by side."""
DIGITS = 12
"""No number of a feature has as many."""
TRIED = "tried"
"""The part of the page that is a text and what the feature makes of it."""


@dataclass(frozen=True)
class Tried:
    """A text, shaded by the feature's activations."""

    text: str = ""
    shaded: str = ""
    strongest: str = ""
    error: str = ""


async def feature_page(request: Request) -> Response:
    """The page of one feature; of a script that asks for it, one text tried."""
    explorer: Explorer = request.app.state.explorer
    shown: Shown = request.state.shown
    names = [request.path_params[key] for key in ("model", "site", "dictionary")]
    texts = [text.replace("\r\n", "\n") for text in request.query_params.getlist("text")][:MOST]
    if facts := _added(explorer, names):
        return await _added_page(request, facts, texts)
    dictionary = shown.dictionary(*names)
    feature = _number(request.path_params["feature"], dictionary.place, dictionary.features)
    tries = [Tried()]
    if isinstance(contexts := dictionary.contexts, TextContexts):
        tries = await _tried(explorer, contexts, dictionary.place, feature, dictionary.largest(feature), texts)
    if request.headers.get(PART_HEADER) == TRIED:
        return rendered(request, "tried.html.j2", tried=tries[0])
    values = await run_in_threadpool(page_values, explorer, shown, dictionary, feature)
    carried = "?" + urlencode([("text", text) for text in texts]) if texts else ""
    return rendered(request, "feature.html.j2", **values, tries=tries, carried=carried, most=MOST, limit=TEXT)


def _added(explorer: Explorer, names: list[str]) -> dict[str, Any] | None:
    """What is known of an SAE that was added; None if none of these names was."""
    added = (one for one in explorer.inference.added if [one["model"], one["site"], one["dictionary"]] == names)
    return next(added, None)


async def _added_page(request: Request, facts: dict[str, Any], texts: list[str]) -> Response:
    """The page of a feature of an SAE that was added: texts are tried on it, and nothing of it was measured."""
    place = Place(facts["model"], facts["site"], facts["dictionary"])
    feature = _number(request.path_params["feature"], place, facts["features"])
    contexts = request.state.shown.contexts(place.model)
    tries = await _tried(request.app.state.explorer, contexts, place, feature, None, texts)
    if request.headers.get(PART_HEADER) == TRIED:
        return rendered(request, "tried.html.j2", tried=tries[0])
    name = f"Feature {feature}"
    return rendered(request, "added.html.j2", facts=facts, name=name, tries=tries, most=MOST, limit=TEXT)


async def _tried(
    explorer: Explorer, contexts: TextContexts, place: Place, feature: int, largest: float | None, texts: list[str]
) -> list[Tried]:
    """The texts, shaded, and one empty one if there is none; blank ones as they are. Without the largest activation of
    the feature, they are shaded by the largest on each."""
    asked = [text for text in texts if text.strip()]
    if not asked:
        return [Tried(text) for text in texts] or [Tried()]
    try:
        job = checked(ActivationsJob, {"place": place.path, "features": (feature,), "texts": asked}, "try")
        found = json.loads(await explorer.inference.activations(job))["texts"]
    except (InputError, BusyError, BrokenError) as refusal:
        return [Tried(text, error=str(refusal)) for text in texts]
    shaded = iter([_shaded(contexts, one, largest) for one in found])
    return [Tried(text, *next(shaded)) if text.strip() else Tried(text) for text in texts]


def _shaded(contexts: TextContexts, found: dict[str, Any], largest: float | None) -> tuple[Markup, Markup]:
    """The text as HTML, and its strongest token in words."""
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
