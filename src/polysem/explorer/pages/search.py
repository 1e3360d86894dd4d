"""U1: the search page, a text and the features that are most active on it."""

import json
import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from polysem.explorer.api.errors import STATUSES
from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import TEXT
from polysem.explorer.pages.examples import EXAMPLES
from polysem.explorer.pages.form import DENSITIES, KINDS, SCALES, TOPS, Form, read_form
from polysem.explorer.pages.named import Named, found_by_words, words_of
from polysem.explorer.pages.rendering import rendered, status_of
from polysem.explorer.pages.shown import UNSAID, Shown, TopExample, feature_address, word_of
from polysem.layout.annotations import FeatureAnnotations
from polysem.layout.place import Place
from polysem.report.contexts import TextContexts, context
from polysem.report.numbers import in_words

OK = 200
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
    frequency: str = ""
    tokens: Markup | str = ""
    example: TopExample | None = None
    not_measured: str = ""


@dataclass(frozen=True)
class Answer:
    """What the page shows of a search."""

    tokens: list[Token]
    results: list[Result]
    said: str
    notes: list[str]
    """What was left out, and why."""
    words: str
    """What labels and top tokens were looked through for."""
    named: list[Named]


async def search_page(request: Request) -> Response:
    """The form; with a text, its answer."""
    explorer: Explorer = request.app.state.explorer
    shown: Shown = request.state.shown
    form, answer, error, status = Form(text=request.query_params.get("text", "")), None, "", OK
    try:
        form = read_form(request.query_params, shown.language_models)
        if form.text:
            found = json.loads(await explorer.inference.search(form.job()))
            answer = await run_in_threadpool(_answer, shown, form, found)
    except tuple(STATUSES) as refusal:
        error, status = str(refusal), status_of(refusal)
    return rendered(
        request,
        "search.html.j2",
        status,
        form=form,
        answer=answer,
        error=error,
        limit=TEXT,
        models=shown.language_models,
        classifiers=shown.classifiers,
        scales=SCALES,
        kinds=KINDS,
        tops=sorted({*TOPS, form.top}),
        densities=dict(sorted(({form.density: f"{100 * form.density:g} % of tokens"} | DENSITIES).items())),
        examples=EXAMPLES,
        **_choices(shown, explorer, form.model),
    )


async def lucky(request: Request) -> Response:
    """A search for what some feature is most active on, drawn at random from those that are not active everywhere."""
    shown: Shown = request.state.shown
    form = read_form(request.query_params, shown.language_models)
    text = await run_in_threadpool(_drawn_text, shown, form.model)
    return RedirectResponse(replace(form, text=text).address() if text else "/", status_code=303)


def _drawn_text(shown: Shown, model: str) -> str:
    """The top example of a feature; '' if none of the model is active and rare enough."""
    dictionaries = [each for each in shown.all_dictionaries() if each.place.model == model]
    random.shuffle(dictionaries)
    for dictionary in dictionaries:
        frequency = dictionary.index.column("frequency", "frequency")
        found = np.flatnonzero((frequency > 0) & (frequency <= Form.density))
        if len(found) and (example := dictionary.top_example(int(random.choice(found)))):
            return example.text[:TEXT]
    return ""


def _choices(shown: Shown, explorer: Explorer, model: str) -> dict[str, list[str]]:
    """Sites and dictionaries of a model that a search can be narrowed to, those that were added last."""
    sites = shown.study[model] if model else {}
    pairs = [(site, name) for site, held in sites.items() for name in held]
    pairs += [(one["site"], one["dictionary"]) for one in explorer.inference.added if one["model"] == model]
    return {
        "sites": list(dict.fromkeys(site for site, _ in pairs)),
        "dictionaries": list(dict.fromkeys(name for _, name in pairs)),
    }


def _answer(shown: Shown, form: Form, found: dict[str, Any]) -> Answer:
    contexts = shown.contexts(form.model)
    assert isinstance(contexts, TextContexts)
    decoded = contexts.decoded(found["ids"])
    counted = [True] * len(decoded) if form.tokens else found["counted"]
    tokens = list(map(Token, map(contexts.name, found["ids"]), counted))
    results = [_result(shown, form, one, decoded, tokens) for one in found["results"]]
    words = words_of(form, [found["tokens"][place] for place in form.tokens])
    return Answer(tokens, results, _said(form, len(results)), found["notes"], words, found_by_words(shown, form, words))


def _result(
    shown: Shown, form: Form, found: dict[str, Any], decoded: list[tuple[Markup, str]], tokens: list[Token]
) -> Result:
    place = shown.study.results.place(found["model"], found["site"], found["dictionary"])
    feature, position = int(found["feature"]), int(found["position"])
    dictionary = shown.dictionary(*place.names) if shown.has(place) else None
    largest = max(found["activations"]) if dictionary is None else dictionary.largest(feature)
    offsets = (np.arange(len(decoded)) - position).tolist()
    of_all = Result(
        place=place,
        feature=feature,
        word=word_of(place),
        address=form.address_of(feature_address(place, feature)),
        said=UNSAID,
        scaled=_in_scale(form.scale, found),
        value=in_words(float(found["value"])),
        token=tokens[position].html,
        shaded=context(decoded, found["activations"], offsets, largest),
    )
    if dictionary is None:
        return replace(of_all, not_measured="Added, and never measured: shaded by the largest activation on this text.")
    return replace(
        of_all,
        said=dictionary.said.get(feature, UNSAID),
        frequency=f"{100 * dictionary.frequency(feature):.3g} %",
        tokens=dictionary.top_tokens(feature),
        example=dictionary.top_example(feature),
    )


def _in_scale(scale: str, found: dict[str, Any]) -> str:
    value = float(found["scaled"])
    if scale in ("share", "quantile"):
        return f"{100 * value:.4g} %"
    return f"{value:.3g} bits" if scale == "surprise" else in_words(value)


def _said(form: Form, count: int) -> str:
    """What the list is, as sentences."""
    where = "the chosen tokens" if form.tokens else "any token" if form.bos else "any token but BOS"
    hidden = "" if form.density >= 1 else f" What is active on more than {100 * form.density:g} % of tokens is hidden."
    if not count:
        return f"No {KINDS[form.kind].replace(' and ', ' or ')} are active on {where}.{hidden}"
    number = f"{count} {KINDS[form.kind]}" if count > 1 else ONE[form.kind]
    return f"{number}, by {BY[form.scale]} on {where}, strongest first.{hidden}"
