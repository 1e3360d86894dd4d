"""S1.F11: what was done with the feature of a case study, and what follows from it, as rows of its page."""

from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from polysem.io.columns import Columns
from polysem.layout.place import Place
from polysem.report.contexts import TextContexts
from polysem.report.numbers import in_words

WAYS = {
    "feature": "the feature",
    "random": "a random direction as long",
    "means": "difference of means of the tag",
    "neuron": "the tag's best neuron",
    "prompt": "a prompt with the tag",
    "unsteered": "the model as it is",
}
ENDS = ("", "_low", "_high")
"""Behind the name of a number and those of the ends of its interval."""


class Line(NamedTuple):
    """A number with its name and its interval, '' where there is none."""

    name: str
    value: str
    interval: str


class Way(NamedTuple):
    """What leads the model, and at each dose how much of what it writes carries the tag, and how unlikely that is."""

    name: str
    shares: list[tuple[str, str]]
    """Number and interval."""
    perplexities: list[tuple[str, str]]


class Pair(NamedTuple):
    """What is written after a prompt, without the feature and with it at its maximum."""

    prompt: str
    before: str
    after: str


class Edge(NamedTuple):
    """A feature after which another one follows."""

    words: Markup
    lift: str
    predicted: str
    drop: str
    verdict: str


class Explanation(NamedTuple):
    """What an explainer says, and its scores on held-out examples."""

    explainer: str
    text: str
    scores: list[str]


class Context(NamedTuple):
    """A context in which the feature was set to 0."""

    html: Markup
    largest: str
    promoted: Markup
    """The same, with a line below the tokens that its logit weights promote; '' without a direct path."""


class Relative(NamedTuple):
    """A feature of a smaller or larger dictionary whose decoder row is near."""

    words: str
    dictionary: str
    feature: int
    cosine: str


def estimate(values: NDArray[Any]) -> tuple[str, str]:
    """A number and its interval in words, from the number and, where these are known, the ends of the interval."""
    value, low, high = (*map(float, values), np.nan, np.nan)[:3]
    return (in_words(value) if np.isfinite(value) else "–"), (
        f"{in_words(low)} to {in_words(high)}" if np.isfinite(low) else ""
    )


def row_of(table: Columns, place: Place, feature: int, sites: str, dictionaries: str, of: str, features: str) -> int:
    """The row of a feature in a table that names places once; −1 where it has none."""
    places = list(zip(table[sites].tolist(), table[dictionaries].tolist(), strict=True))
    if (place.site, place.dictionary) not in places:
        return -1
    found = np.flatnonzero((table[of] == places.index((place.site, place.dictionary))) & (table[features] == feature))
    return int(found[0]) if len(found) else -1


def ablated(table: Columns, place: Place, feature: int, contexts: TextContexts) -> tuple[list[Line], list[Context]]:
    """What its ablation does, and the contexts in which that is shown."""
    row = row_of(table, place, feature, "site", "dictionary", "of_place", "feature")
    if row < 0:
        return [], []
    numbers = {
        "kl": "KL(clean ‖ ablated) at the token, in nats",
        "later_kl": "the same, summed over the tokens behind",
        "target_change": "change of the log-probability of the next token, in nats",
        "random_smaller": "share of random directions that change the prediction less",
        "weight_correlation": "rank correlation of the change and minus its logit weights",
        "direct_share": "share of the squared change along its logit weights",
    }
    lines = [
        Line(words, *estimate(np.array([table[f"{name}{end}"][row] for end in ENDS if f"{name}{end}" in table])))
        for name, words in numbers.items()
    ]
    shown = row_of(table, place, feature, "site", "dictionary", "shown_place", "shown_feature")
    if shown < 0:
        return lines, []
    largest = float(table["shown_largest"][shown])
    offsets = table["offset"].astype(np.int64)
    found = []
    for number in np.flatnonzero(table["shown_sequence"][shown] >= 0).tolist():
        change = table["shown_change"][shown, number].astype(np.float64)
        lost = np.where(np.isfinite(change), -change, np.nan)
        most = float(np.nanmax(lost)) if np.isfinite(lost).any() else 0.0
        tokens, activations = (table[f"shown_{name}"][shown, number] for name in ("token", "activation"))
        weight = table["shown_logit_weight"][shown, number].astype(np.float64)
        lost_share, promoted = (
            contexts.example(tokens, activations, offsets, largest, int(table["shown_sequence"][shown, number]), shares)
            for shares in (_of_largest(lost), _of_largest(weight))
        )
        found.append(Context(lost_share, f"{most:.3g}", promoted if np.isfinite(weight).any() else Markup("")))
    return lines, found


def _of_largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the largest of some values; NaN for all where none is above 0."""
    largest = np.nanmax(values) if np.isfinite(values).any() else 0
    return values / largest if largest > 0 else np.full(values.shape, np.nan)


def steered(table: Columns, place: Place, feature: int) -> tuple[list[Way], list[str], list[Pair]]:
    """What leads the model and how far, the doses, and continuations without the feature and with it."""
    if "feature" not in table:
        return [], [], []
    mine = (table["site"] == place.site) & (table["dictionary"] == place.dictionary) & (table["feature"] == feature)
    if not mine.any():
        return [], [], []
    row, names = int(np.flatnonzero(mine)[0]), [str(name) for name in table["way"]]
    ways = []
    for number, name in enumerate(names):
        shares, perplexities = (
            np.stack([table[f"{which}{end}"][row, number] for end in ENDS], axis=1)
            for which in ("tag_share_of", "perplexity_of")
        )
        if np.isfinite(perplexities).any():
            ways.append(Way(WAYS[name], [*map(estimate, shares)], [*map(estimate, perplexities)]))
    one = table["dose"].tolist().index(1)
    texts = {name: table["continuation"][row, names.index(name), one] for name in ("unsteered", "feature")}
    pairs = [
        Pair(str(prompt), str(before), str(after))
        for prompt, before, after in zip(table["prompt"], texts["unsteered"], texts["feature"], strict=True)
    ]
    return ways, [f"{dose:g} ×" for dose in table["dose"].tolist()], pairs


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if np.isfinite(value) else "–"


def explained(table: Columns, place: Place, feature: int) -> tuple[list[str], list[Explanation]]:
    """Names of the scores, and the explanations of all explainers that say anything."""
    if "of_place" not in table:
        return [], []
    row = row_of(table, place, feature, "site", "dictionary", "of_place", "feature")
    if row < 0:
        return [], []
    found = [
        Explanation(str(explainer), str(text), [in_words(float(one)) if np.isfinite(one) else "–" for one in scores])
        for explainer, text, scores in zip(table["explainer"], table["text"][row], table["score_of"][row], strict=True)
        if text
    ]
    return [str(name) for name in table["score"]], found


def edges(table: Columns, place: Place, feature: int) -> list[Edge]:
    """The edges of automata that begin or end at the feature, the strongest first."""
    if "edge_place" not in table:
        return []
    node = row_of(table, place, feature, "place_site", "place_dictionary", "node_place", "node_feature")
    if node < 0:
        return []
    touching = np.flatnonzero((table["edge_source"] == node) | (table["edge_target"] == node))
    found = []
    for edge in sorted(touching.tolist(), key=lambda one: -float(table["strength"][one])):
        ends = [int(table["node_feature"][int(table[f"edge_{end}"][edge])]) for end in ("source", "target")]
        words = Markup("after itself") if ends[0] == ends[1] else Markup("{} → {}").format(*ends)
        drop = float(table["drop"][edge])
        tried = np.isfinite(drop)
        confirmed = "confirmed" if tried and int(table["edge_confirmed"][edge]) == 1 else "not confirmed"
        found.append(
            Edge(
                words,
                in_words(float(table["lift"][edge])),
                in_words(float(table["prediction"][edge])),
                _percent(drop),
                confirmed if tried else "not tried",
            )
        )
    return found


def relatives(table: Columns, place: Place, feature: int) -> tuple[list[Relative], str]:
    """Its parent in the next smaller dictionary and its children in the next larger one (S1.F8), by the table
    `comparison` of its site; or why there are none."""
    names = [str(name) for name in table["size_dictionary"]] if "size_dictionary" in table else []
    if place.dictionary not in names:
        return [], "Its dictionary is none of those of growing size that are held against each other."
    at, least = names.index(place.dictionary), float(table.attributes["split_cosine"])
    near = table["child_cosine"] >= least
    above = (table["child_level"] == at - 1) & (table["child_feature"] == feature) & near
    below = (table["child_level"] == at) & (table["child_parent"] == feature) & near
    found = [("parent", at - 1, int(table["child_parent"][row]), row) for row in np.flatnonzero(above).tolist()]
    found += [("child", at + 1, int(table["child_feature"][row]), row) for row in np.flatnonzero(below).tolist()]
    kin = [
        Relative(words, names[size], number, in_words(float(table["child_cosine"][row])))
        for words, size, number, row in found
    ]
    none = "" if kin else f"No decoder row of the next smaller or larger dictionary has a cosine of {least:g} with its."
    return kin, none
