"""U3: the dictionaries of the study, and the features of one as a list."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from polysem.explorer.pages.rendering import rendered
from polysem.explorer.pages.shown import UNSAID, Shown, ShownDictionary, dictionary_address, feature_address
from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations
from polysem.report.numbers import in_words

PAGE = 100
"""Features on one page of a list."""


@dataclass(frozen=True)
class Order:
    """What a list is sorted by: a column of a table, and how its numbers are written."""

    title: str
    table: str
    variable: str
    is_share: bool = False


NUMBER = "number"
ORDERS = {
    "frequency": Order("frequency", "frequency", "frequency", is_share=True),
    "largest": Order("largest activation", "frequency", "max_activation"),
    "power": Order("power in the top neuron", "alignment", "power_top1", is_share=True),
    "kurtosis": Order("kurtosis (excess)", "alignment", "kurtosis_excess"),
    "monosemanticity": Order("monosemanticity", "tags", "monosemanticity", is_share=True),
}
"""By the words of the address."""
ONLY = {"all": "all", "active": "ever active", "starred": "starred", "annotated": "with a note"}
UNSPOKEN = {"sort": NUMBER, "order": "", "only": "all", "page": 1}
"""What the address leaves out."""
DIGITS = 9
OF_DECODERS = ("power", "kurtosis")
"""Of neurons these are the same for all."""


@dataclass(frozen=True)
class Line:
    """One feature of the list."""

    feature: int
    address: str
    said: FeatureAnnotations
    tokens: Markup
    values: list[str]


async def browse_page(request: Request) -> Response:
    """All models with their sites and dictionaries, and SAEs that were added."""
    shown: Shown = request.state.shown

    def models() -> dict[str, Any]:
        return {
            model: {
                site: [
                    (dictionary.name, dictionary_address(dictionary.place), dictionary.features)
                    for dictionary in held.values()
                ]
                for site, held in sites.items()
            }
            for model, sites in shown.study.items()
        }

    added = [
        (one, feature_address(shown.study.results.place(one["model"], one["site"], one["dictionary"]), 0))
        for one in request.app.state.explorer.inference.added
    ]
    found = await run_in_threadpool(models)
    return rendered(request, "browse.html.j2", models=found, added=added, readers=shown.language_models)


async def dictionary_page(request: Request) -> Response:
    """The features of a dictionary, sorted, a hundred at a time."""
    names, params = [request.path_params[key] for key in ("model", "site", "dictionary")], request.query_params
    request.app.state.explorer.require_measured(*names)
    dictionary = request.state.shown.dictionary(*names)
    values = await run_in_threadpool(_listed, dictionary, dict(params))
    return rendered(request, "dictionary.html.j2", **values)


def _listed(dictionary: ShownDictionary, params: dict[str, str]) -> dict[str, Any]:
    orders = _orders(dictionary)
    sort, rising = params.get("sort", NUMBER), params.get("order", "")
    only, page = params.get("only", "all"), params.get("page", "1")
    if sort not in (NUMBER, *orders):
        raise InputError(f"a list cannot be sorted by {sort!r}; it can by {', '.join((NUMBER, *orders))}")
    if only not in ONLY:
        raise InputError(f"there is no list of {only!r}; there are: {', '.join(ONLY)}")
    if rising not in ("", "ascending", "descending"):
        raise InputError(f"order is {rising!r}; it is ascending or descending")
    ascending = sort == NUMBER if not rising else rising == "ascending"
    said = dictionary.said
    features = _chosen(dictionary, only, said)
    features = _sorted(features, None if sort == NUMBER else _column(dictionary, orders[sort]), ascending)
    pages = max(1, -(-len(features) // PAGE))
    number = min(max(int(page), 1), pages) if page.isascii() and page.isdigit() and len(page) < DIGITS else 1
    part = features[(number - 1) * PAGE : number * PAGE].tolist()

    def address(**changed: Any) -> str:
        wanted = {"sort": sort, "order": rising, "only": only, "page": number} | changed
        return "?" + urlencode({name: value for name, value in wanted.items() if value != UNSPOKEN.get(name)})

    def heading(name: str) -> dict[str, str]:
        is_it = name == sort
        other = "descending" if ascending else "ascending"
        return {
            "title": dictionary.word if name == NUMBER else orders[name].title,
            "address": address(sort=name, order=other if is_it else "", page=1),
            "sorted": ("ascending" if ascending else "descending") if is_it else "",
        }

    return {
        "place": dictionary.place,
        "word": dictionary.word,
        "images": dictionary.contexts.unit == "images",
        "headings": [heading(name) for name in (NUMBER, *orders)],
        "lines": [_line(dictionary, feature, said, orders) for feature in part],
        "found": len(features),
        "features": dictionary.features,
        "only": {name: (words, address(only=name, page=1)) for name, words in ONLY.items()},
        "chosen": only,
        "number": number,
        "pages": pages,
        "before": address(page=number - 1) if number > 1 else "",
        "after": address(page=number + 1) if number < pages else "",
    }


def _orders(dictionary: ShownDictionary) -> dict[str, Order]:
    """What the features of a dictionary can be sorted by."""
    return {
        name: order
        for name, order in ORDERS.items()
        if order.variable in dictionary.index.variables(order.table)
        and not (dictionary.is_neurons and name in OF_DECODERS)
    }


def _column(dictionary: ShownDictionary, order: Order) -> NDArray[Any]:
    return dictionary.index.column(order.table, order.variable)


def _chosen(dictionary: ShownDictionary, only: str, said: dict[int, FeatureAnnotations]) -> NDArray[np.int64]:
    if only == "active":
        return np.flatnonzero(dictionary.index.column("frequency", "active_tokens") > 0)
    if only == "starred":
        return np.array([number for number, own in said.items() if own.starred_by], np.int64)
    if only == "annotated":
        return np.array([number for number, own in said.items() if own.is_there], np.int64)
    return np.arange(dictionary.features)


def _sorted(features: NDArray[np.int64], column: NDArray[Any] | None, ascending: bool) -> NDArray[np.int64]:
    """Features by a column, equal ones by their number, those without a number last."""
    if column is None:
        return features if ascending else features[::-1]
    values = np.asarray(column[features], np.float64) * (1 if ascending else -1)
    return features[np.argsort(values, kind="stable")]


def _line(
    dictionary: ShownDictionary, feature: int, said: dict[int, FeatureAnnotations], orders: dict[str, Order]
) -> Line:
    return Line(
        feature,
        feature_address(dictionary.place, feature),
        said.get(feature, UNSAID),
        dictionary.top_tokens(feature),
        [_in_words(float(_column(dictionary, order)[feature]), order) for order in orders.values()],
    )


def _in_words(value: float, order: Order) -> str:
    if np.isnan(value):
        return "–"
    return f"{100 * value:.3g} %" if order.is_share else in_words(value)
