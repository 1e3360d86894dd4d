"""U1: the search page, a text and the features that are most active on it."""

import json
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import TEXT
from polysem.explorer.pages.examples import EXAMPLES
from polysem.explorer.pages.query import DENSITIES, KINDS, SCALES, TOPS, Query, asked
from polysem.explorer.pages.rendering import rendered
from polysem.explorer.pages.shown import UNSAID, Shown, TopExample, feature_address
from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.report.contexts import TextContexts, context
from polysem.report.numbers import in_words

REFUSED = 400
BY = {
    "raw": "the largest activation",
    "share": "the largest share of what they reach on eval tokens",
    "quantile": "the quantile among the eval tokens they are active on",
    "surprise": "how rarely they are as active on eval tokens",
}
"""The scales, in words that follow on the number of results."""
ONE = {"all": "1 feature or neuron", "features": "1 feature", "neurons": "1 neuron"}


@dataclass(frozen=True)
class Token:
    """A token of the text, and whether it counts, as BOS does not."""

    html: Markup
    counted: bool


@dataclass(frozen=True)
class Result:
    """One feature of the answer, in words and as safe HTML."""

    place: Place
    feature: int
    word: str
    address: str
    said: FeatureAnnotations
    scaled: str
    value: str
    token: Markup
    shaded: Markup
    frequency: str
    tokens: Markup
    example: TopExample | None
    not_measured: str


@dataclass(frozen=True)
class Answer:
    """What the page shows of a search."""

    tokens: list[Token]
    results: list[Result]
    said: str
    named: tuple[()] = ()


async def search_page(request: Request) -> Response:
    """The form; with a text, its answer."""
    explorer: Explorer = request.app.state.explorer
    shown: Shown = request.state.shown
    query, answer, error, status = Query(), None, "", 200
    try:
        query = asked(request.query_params, shown.language_models)
        if query.text:
            found = json.loads(await explorer.inference.search(query.job()))
            answer = await run_in_threadpool(_answer, shown, query, found)
    except InputError as refusal:
        error, status = str(refusal), REFUSED
    return rendered(
        request,
        "search.html.j2",
        status,
        query=query,
        answer=answer,
        error=error,
        limit=TEXT,
        models=shown.language_models,
        classifiers=shown.classifiers,
        scales=SCALES,
        kinds=KINDS,
        tops=TOPS,
        densities=DENSITIES,
        examples=EXAMPLES,
        **_choices(shown, query.model),
    )


async def lucky(request: Request) -> Response:
    """A search for what some feature is most active on, drawn at random from those that are not active everywhere."""
    shown: Shown = request.state.shown
    query = asked(request.query_params, shown.language_models)
    text = await run_in_threadpool(_drawn_text, shown, query.model)
    return RedirectResponse(Query(text=text).address(model=query.model) if text else "/", status_code=303)


def _drawn_text(shown: Shown, model: str) -> str:
    """The top example of a feature; '' if none of the model is active and rare enough."""
    dictionaries = [each for each in shown.all_dictionaries() if each.place.model == model]
    random.shuffle(dictionaries)
    for dictionary in dictionaries:
        frequency = dictionary.index.column("frequency", "frequency")
        found = np.flatnonzero((frequency > 0) & (frequency <= Query.density))
        if len(found) and (example := dictionary.top_example(int(random.choice(found)))):
            return example.text[:TEXT]
    return ""


def _choices(shown: Shown, model: str) -> dict[str, list[str]]:
    """Sites and dictionaries of a model that a search can be narrowed to."""
    sites = shown.study[model] if model else {}
    return {"sites": list(sites), "dictionaries": list(dict.fromkeys(name for site in sites.values() for name in site))}


def _answer(shown: Shown, query: Query, found: dict[str, Any]) -> Answer:
    contexts = shown.contexts(query.model)
    assert isinstance(contexts, TextContexts)
    decoded = contexts.decoded(found["ids"])
    tokens = list(map(Token, map(contexts.name, found["ids"]), found["counted"]))
    results = [_result(shown, query, one, decoded, tokens) for one in found["results"]]
    return Answer(tokens, results, _said(query, len(results)))


def _result(
    shown: Shown, query: Query, found: dict[str, Any], decoded: list[tuple[Markup, str]], tokens: list[Token]
) -> Result:
    dictionary = shown.dictionary(found["model"], found["site"], found["dictionary"])
    feature, position = int(found["feature"]), int(found["position"])
    largest = dictionary.largest(feature)
    offsets = (np.arange(len(decoded)) - position).tolist()
    return Result(
        place=dictionary.place,
        feature=feature,
        word=dictionary.word,
        address=query.address_of(feature_address(dictionary.place, feature)),
        said=dictionary.said.get(feature, UNSAID),
        scaled=_in_scale(query.scale, found),
        value=in_words(float(found["value"])),
        token=tokens[position].html,
        shaded=context(decoded, found["activations"], offsets, largest),
        frequency=f"{100 * found['frequency']:.3g} %",
        tokens=dictionary.top_tokens(feature),
        example=dictionary.top_example(feature),
        not_measured="",
    )


def _in_scale(scale: str, found: dict[str, Any]) -> str:
    value = float(found["scaled"])
    if scale in ("share", "quantile"):
        return f"{100 * value:.4g} %"
    return f"{value:.3g} bits" if scale == "surprise" else in_words(value)


def _said(query: Query, count: int) -> str:
    """What the list is, as sentences."""
    where = "the chosen tokens" if query.tokens else "any token" if query.bos else "any token but BOS"
    hidden = (
        "" if query.density >= 1 else f" What is active on more than {100 * query.density:g} % of tokens is hidden."
    )
    if not count:
        return f"No {KINDS[query.kind].replace(' and ', ' or ')} are active on {where}.{hidden}"
    number = f"{count} {KINDS[query.kind]}" if count > 1 else ONE[query.kind]
    return f"{number}, by {BY[query.scale]} on {where}, strongest first.{hidden}"
