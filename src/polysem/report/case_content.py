"""S1.F11: what the page of a case study says beside its sheet, out of the tables of its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from polysem.io.columns import Columns
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.report.activation_histogram import histogram
from polysem.report.contexts import TextContexts
from polysem.report.numbers import in_words

Tables = Mapping[str, Columns]
"""Of the model, by name: `case_studies`, and those of what was done with features."""
KNOWN = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity: share of its activation mass on tokens with the tag",
    "sensitivity": "sensitivity: correlation of activation and tag",
    "mean_with": "expected activation of a token with the tag",
    "mean_without": "expected activation of a token without it",
}
VERDICTS = {1: "met", 0: "not met", -1: "not known"}
WAYS = {
    "feature": "the feature",
    "random": "a random direction as long",
    "means": "difference of means of the tag",
    "neuron": "the tag's best neuron",
    "prompt": "a prompt with the tag",
    "unsteered": "the model as it is",
}


class Line(NamedTuple):
    """A number with its name and its interval, '' where there is none."""

    name: str
    value: str
    interval: str


class Part(NamedTuple):
    """A part of the bar."""

    name: str
    asked: str
    found: str
    verdict: str


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


@dataclass(frozen=True)
class CaseStudy:
    """What is shown of one case."""

    number: int
    """Its place in the table: the best feature of two tags is two cases."""
    place: Place
    feature: int
    tag: str
    chosen_by: str
    parts: list[Part]
    known: list[Line]
    with_tag: Markup
    without_tag: Markup
    effect: list[Line]
    contexts: list[Context]
    ways: list[Way]
    doses: list[str]
    pairs: list[Pair]
    edges: list[Edge]
    scores: list[str]
    """Names of the scores of explanations."""
    explanations: list[Explanation]

    @property
    def address(self) -> str:
        """The name of its page."""
        return f"{self.number + 1}.html"

    @property
    def is_neuron(self) -> bool:
        """Whether it is a neuron, for contrast."""
        return self.place.dictionary == NEURONS


def places_of(cases: Columns, model: Place) -> list[Place]:
    """The dictionary of each case of a model."""
    if "feature" not in cases:
        return []
    names = zip(cases["site"].tolist(), cases["dictionary"].tolist(), strict=True)
    return [model.at(site, dictionary) for site, dictionary in names]


def case_study(tables: Tables, number: int, place: Place, tags: Columns, contexts: TextContexts) -> CaseStudy:
    """The case of this number in the table `case_studies`; `tags` is the table of its dictionary, `place`."""
    cases = tables["case_studies"]
    feature, tag = int(cases["feature"][number]), str(cases["tag"][number])
    with_tag, without_tag = _split(tags, feature, tag)
    ways, doses, pairs = _steered(tables["steering"], place, feature)
    return CaseStudy(
        number,
        place,
        feature,
        tag,
        str(cases["chosen_by"][number]),
        [] if place.dictionary == NEURONS else _parts(cases, number),
        [_line(cases, number, name, words) for name, words in KNOWN.items()] if tag else [],
        with_tag,
        without_tag,
        *_ablated(tables["ablation"], place, feature, contexts),
        ways,
        doses,
        pairs,
        _edges(tables["automata"], place, feature),
        *_explained(tables["explanations"], place, feature),
    )


def _line(table: Columns, number: int, name: str, words: str) -> Line:
    return Line(words, *_estimate(table[name][number]))


def _estimate(values: NDArray[Any]) -> tuple[str, str]:
    value, low, high = (float(one) for one in values)
    return (in_words(value) if np.isfinite(value) else "–"), (
        f"{in_words(low)} to {in_words(high)}" if np.isfinite(low) else ""
    )


def _parts(cases: Columns, number: int) -> list[Part]:
    bar = {name: float(cases.attributes[f"bar_{name}"]) for name in ("f1", "effect", "gap", "twin")}
    twin, dictionary = int(cases["twin"][number]), str(cases["twin_dictionary"][number])
    neuron = int(cases["neuron"][number])
    smaller = float(cases["random_smaller"][number])

    def estimate(name: str) -> str:
        value, interval = _estimate(cases[name][number])
        return f"{value} ({interval})" if interval else value

    found = {
        "f1": ("it tells its tag on held-out text", f"F1 of {bar['f1']} or more", estimate("f1")),
        "effect": (
            "it causes what is predicted",
            f"ablation changes the prediction more than {100 * bar['effect']:g} % of random directions",
            f"{100 * smaller:.3g} %" if np.isfinite(smaller) else "not ablated",
        ),
        "neuron": (
            "it is no neuron",
            f"F1 of the best neuron lower by {bar['gap']} or more",
            f"{estimate('f1_above_neuron')} above neuron {neuron}" if neuron >= 0 else "no neuron is active on the tag",
        ),
        "twin": (
            "another seed finds it, too",
            f"a feature that correlates at {bar['twin']} or more",
            f"{estimate('twin_correlation')} with feature {twin} of {dictionary}"
            if twin >= 0
            else "no SAE of the same recipe has another seed",
        ),
    }
    return [
        Part(name, asked, words, VERDICTS[int(cases[f"meets_{part}"][number])])
        for part, (name, asked, words) in found.items()
    ]


def _split(tags: Columns, feature: int, tag: str) -> tuple[Markup, Markup]:
    """Histograms of its activations on tokens with the tag and without, where it is the best feature of the tag."""
    names = [str(name) for name in tags["tag"]] if "tag" in tags else []
    if tag not in names or int(tags["best_feature"][names.index(tag)]) != feature:
        return Markup(""), Markup("")
    number, edges = names.index(tag), tags["bin_edge"].astype(np.float64)
    one, other = (
        histogram(tags[f"tokens_{which}"][number].astype(np.int64), edges, "tokens") for which in ("with", "without")
    )
    return one, other


def _row(table: Columns, place: Place, feature: int, sites: str, dictionaries: str, of: str, features: str) -> int:
    """The row of a feature in a table that names places once; −1 where it has none."""
    places = list(zip(table[sites].tolist(), table[dictionaries].tolist(), strict=True))
    if (place.site, place.dictionary) not in places:
        return -1
    found = np.flatnonzero((table[of] == places.index((place.site, place.dictionary))) & (table[features] == feature))
    return int(found[0]) if len(found) else -1


def _ablated(table: Columns, place: Place, feature: int, contexts: TextContexts) -> tuple[list[Line], list[Context]]:
    row = _row(table, place, feature, "site", "dictionary", "of_place", "feature")
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
    lines = [Line(words, in_words(float(table[name][row])), "") for name, words in numbers.items()]
    shown = _row(table, place, feature, "site", "dictionary", "shown_place", "shown_feature")
    if shown < 0:
        return lines, []
    largest = float(table["shown_largest"][shown])
    offsets = table["offset"].astype(np.int64)
    found = []
    for number in np.flatnonzero(table["shown_sequence"][shown] >= 0).tolist():
        change = table["shown_change"][shown, number].astype(np.float64)
        lost = np.where(np.isfinite(change), -change, np.nan)
        most = float(np.nanmax(lost)) if np.isfinite(lost).any() else 0.0
        html = contexts.example(
            table["shown_token"][shown, number],
            table["shown_activation"][shown, number],
            offsets,
            largest,
            int(table["shown_sequence"][shown, number]),
            lost / most if most > 0 else np.full(lost.shape, np.nan),
        )
        found.append(Context(html, f"{most:.3g}"))
    return lines, found


def _steered(table: Columns, place: Place, feature: int) -> tuple[list[Way], list[str], list[Pair]]:
    if "feature" not in table:
        return [], [], []
    mine = (table["site"] == place.site) & (table["dictionary"] == place.dictionary) & (table["feature"] == feature)
    if not mine.any():
        return [], [], []
    row, names = int(np.flatnonzero(mine)[0]), [str(name) for name in table["way"]]
    ways = []
    for number, name in enumerate(names):
        shares, perplexities = (
            np.stack([table[f"{which}{end}"][row, number] for end in ("", "_low", "_high")], axis=1)
            for which in ("tag_share_of", "perplexity_of")
        )
        if np.isfinite(perplexities).any():
            ways.append(Way(WAYS[name], [*map(_estimate, shares)], [*map(_estimate, perplexities)]))
    one = table["dose"].tolist().index(1)
    texts = {name: table["continuation"][row, names.index(name), one] for name in ("unsteered", "feature")}
    pairs = [
        Pair(str(prompt), str(before), str(after))
        for prompt, before, after in zip(table["prompt"], texts["unsteered"], texts["feature"], strict=True)
    ]
    return ways, [f"{dose:g} ×" for dose in table["dose"].tolist()], pairs


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if np.isfinite(value) else "–"


def _explained(table: Columns, place: Place, feature: int) -> tuple[list[str], list[Explanation]]:
    """Names of the scores, and the explanations of all explainers that say anything."""
    if "of_place" not in table:
        return [], []
    row = _row(table, place, feature, "site", "dictionary", "of_place", "feature")
    if row < 0:
        return [], []
    found = [
        Explanation(str(explainer), str(text), [in_words(float(one)) if np.isfinite(one) else "–" for one in scores])
        for explainer, text, scores in zip(table["explainer"], table["text"][row], table["score_of"][row], strict=True)
        if text
    ]
    return [str(name) for name in table["score"]], found


def _edges(table: Columns, place: Place, feature: int) -> list[Edge]:
    """The edges of automata that begin or end at the feature, the strongest first."""
    if "edge_place" not in table:
        return []
    node = _row(table, place, feature, "place_site", "place_dictionary", "node_place", "node_feature")
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
