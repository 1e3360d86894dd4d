"""S1.F11: what the page of a case study says beside its sheet, out of the tables of its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from polysem.io.columns import Columns
from polysem.layout.place import Place
from polysem.params.base import NEURONS
from polysem.report.activation_histogram import histogram
from polysem.report.case_effects import (
    Context,
    Edge,
    Explanation,
    Line,
    Pair,
    Relative,
    Way,
    ablated,
    edges,
    estimate,
    explained,
    relatives,
    steered,
)
from polysem.report.contexts import TextContexts

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


class Part(NamedTuple):
    """A part of the bar."""

    name: str
    asked: str
    found: str
    verdict: str


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
    relatives: list[Relative]
    no_relatives: str
    """Why there are none."""
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


def case_study(
    tables: Tables, number: int, place: Place, tags: Columns, comparison: Columns, contexts: TextContexts
) -> CaseStudy:
    """The case of this number in the table `case_studies`; `tags` is the table of its dictionary, `place`, and
    `comparison` that of its site."""
    cases = tables["case_studies"]
    feature, tag = int(cases["feature"][number]), str(cases["tag"][number])
    with_tag, without_tag = _split(tags, feature, tag)
    ways, doses, pairs = steered(tables["steering"], place, feature)
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
        *ablated(tables["ablation"], place, feature, contexts),
        ways,
        doses,
        pairs,
        *relatives(comparison, place, feature),
        edges(tables["automata"], place, feature),
        *explained(tables["explanations"], place, feature),
    )


def _line(table: Columns, number: int, name: str, words: str) -> Line:
    return Line(words, *estimate(table[name][number]))


def _parts(cases: Columns, number: int) -> list[Part]:
    bar = {name: float(cases.attributes[f"bar_{name}"]) for name in ("f1", "effect", "gap", "twin")}
    twin, dictionary = int(cases["twin"][number]), str(cases["twin_dictionary"][number])
    neuron = int(cases["neuron"][number])
    smaller = float(cases["random_smaller"][number])

    def said(name: str) -> str:
        value, interval = estimate(cases[name][number])
        return f"{value} ({interval})" if interval else value

    found = {
        "f1": ("it tells its tag on held-out text", f"F1 of {bar['f1']} or more", said("f1")),
        "effect": (
            "it causes what is predicted",
            f"ablation changes the prediction more than {100 * bar['effect']:g} % of random directions",
            f"{100 * smaller:.3g} %" if np.isfinite(smaller) else "not ablated",
        ),
        "neuron": (
            "it is no neuron",
            f"F1 of the best neuron lower by {bar['gap']} or more",
            f"{said('f1_above_neuron')} above neuron {neuron}" if neuron >= 0 else "no neuron is active on the tag",
        ),
        "twin": (
            "another seed finds it, too",
            f"a feature that correlates at {bar['twin']} or more",
            f"{said('twin_correlation')} with feature {twin} of {dictionary}"
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
