"""S1.F5: which features of a site are steered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from polysem.activations.left_out import LeftOut
from polysem.io.tables import read_arrays
from polysem.models.subject import Subject
from polysem.params.base import NEURONS
from polysem.saes.dictionary import Dictionary, load_dictionary
from polysem.tables.inputs import Inputs
from polysem.tables.passes.case_studies.chosen import Case
from polysem.tables.passes.steering.output_scores import output_scores
from polysem.tables.passes.steering.prompts import Ids

SCORED = 64
"""Features of a dictionary whose output scores are looked at, beside the best ones of tags: evenly spread over all that
are ever active."""
TAGS = ("tag", "best_feature", "f1_choosing", "main_tag")
"""What is read of the table of tags."""
BY_CASE, BY_TAG, BY_SCORE = "case study", "best feature of a tag", "output score"


@dataclass(frozen=True)
class Candidates:
    """A dictionary of a site, and what its tables say of its features."""

    site: str
    name: str
    dictionary: Dictionary
    maximum: NDArray[np.float64]
    """Largest activation on the eval tokens, [feature]."""
    promoted: Int[np.ndarray, "feature rank"] | None
    """Tokens that the logit weights raise most; None where there is no direct path to the logits."""
    tags: Mapping[str, NDArray[Any]]
    """`TAGS` of the table `tags`; nothing without known tags."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """By site, which tokens are left out there and not edited."""

    def best_of(self, tag: str) -> tuple[int, float]:
        """The best feature of a tag and its F1 on half A; −1 where none is ever active on it."""
        known = self.tags["tag"].tolist() if self.tags else []
        if tag not in known:
            return -1, np.nan
        number = known.index(tag)
        feature = int(self.tags["best_feature"][number])
        is_there = feature >= 0 and self.maximum[feature] > 0
        return (feature, float(self.tags["f1_choosing"][number])) if is_there else (-1, np.nan)

    def main_tag(self, feature: int) -> str:
        """The tag that the feature is about, '' for none."""
        number = int(self.tags["main_tag"][feature]) if self.tags else -1
        return str(self.tags["tag"][number]) if number >= 0 else ""


@dataclass(frozen=True)
class Chosen:
    """A feature that is steered."""

    of: Candidates
    feature: int
    tag: str
    """What it is to be steered to; '' for no tag that is recognised."""
    chosen_by: str
    score: float
    """With the feature set to its maximum; NaN where the site has no direct path."""
    score_before: float

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from others of its site."""
        return self.of.name, self.feature

    @property
    def maximum(self) -> float:
        """Its largest activation on the eval tokens."""
        return float(self.of.maximum[self.feature])

    @property
    def promoted(self) -> Int[np.ndarray, " rank"]:
        """Tokens that it raises most; none without a direct path."""
        return np.zeros(0, np.int64) if self.of.promoted is None else self.of.promoted[self.feature]


def candidates(inputs: Inputs, subject: Subject, left_out: Mapping[str, LeftOut]) -> Candidates:
    """A dictionary with its tables. InputError where the model has not the site at which it is to be edited."""
    dictionary = load_dictionary(inputs.path("weights"), subject.width(inputs.site), inputs.device)
    subject.width(dictionary.target or inputs.site)
    frequency, logits, tags = (
        read_arrays(inputs.table_file(table), names.__contains__)
        for table, names in (("frequency", ("max_activation",)), ("logits", ("boosted_token",)), ("tags", TAGS))
    )
    return Candidates(
        inputs.site,
        inputs.place.dictionary,
        dictionary,
        frequency["max_activation"].astype(np.float64),
        logits["boosted_token"].astype(np.int64) if "boosted_token" in logits else None,
        tags if "best_feature" in tags and len(tags["tag"]) else {},
        left_out,
    )


def chosen_features(
    subject: Subject,
    each: Sequence[Candidates],
    cases: Sequence[Case],
    recognised: Collection[str],
    count: int,
    prompts: Sequence[Ids],
) -> list[Chosen]:
    """The features of a site that are steered: those of SAEs that are case studies, and others up to `count`.

    Half of these, or all where nothing has logit weights, are best features of recognised tags: of each tag the best
    over all dictionaries, tags with the highest F1 on half A first. The others have the highest output scores: the
    first of each dictionary before the second of any, the higher score first. A feature is steered once.
    """
    saes = [one for one in each if one.name != NEURONS]
    studied = _studied(saes, cases, recognised)
    best = _best_of_tags(saes, recognised)
    looked_at = {one.name: _looked_at(one, [f for of, f, _ in [*studied, *best] if of is one]) for one in saes}
    scores = {one.name: _scores(subject, one, looked_at[one.name], prompts) for one in saes}
    has_scores = any(one.promoted is not None for one in saes)
    chosen: dict[tuple[str, int], Chosen] = {}
    for of, feature, tag in studied:
        after, before = scores[of.name].get(feature, (np.nan, np.nan))
        one = Chosen(of, feature, tag, BY_CASE, after, before)
        chosen.setdefault(one.key, one)
    for of, feature, tag in best:
        if len(chosen) < (-(-count // 2) if has_scores else count):
            after, before = scores[of.name].get(feature, (np.nan, np.nan))
            one = Chosen(of, feature, tag, BY_TAG, after, before)
            chosen.setdefault(one.key, one)
    ranked = []
    for of in saes:
        own = [item for item in scores[of.name].items() if (of.name, item[0]) not in chosen]
        own.sort(key=lambda item: (item[1][1] - item[1][0], item[0]))
        ranked += [(place, before - after, of, feature) for place, (feature, (after, before)) in enumerate(own)]
    for _, _, of, feature in sorted(ranked, key=lambda one: one[:2]):
        if len(chosen) < count:
            tag = of.main_tag(feature)
            one = Chosen(of, feature, tag if tag in recognised else "", BY_SCORE, *scores[of.name][feature])
            chosen[one.key] = one
    return list(chosen.values())


def _studied(
    saes: Sequence[Candidates], cases: Sequence[Case], recognised: Collection[str]
) -> list[tuple[Candidates, int, str]]:
    """The case studies that are features of some SAEs and ever active, with their tags, '' for one that is not
    recognised."""
    return [
        (one, case.feature, case.tag if case.tag in recognised else "")
        for case in cases
        for one in saes
        if one.name == case.place.dictionary and one.maximum[case.feature] > 0
    ]


def _best_of_tags(saes: Sequence[Candidates], recognised: Collection[str]) -> list[tuple[Candidates, int, str]]:
    """The best feature of each tag over several dictionaries, the highest F1 first."""
    found: list[tuple[float, Candidates, int, str]] = []
    for tag in sorted(recognised):
        of_tag = [(f1, one, feature) for one in saes for feature, f1 in [one.best_of(tag)] if feature >= 0]
        if of_tag:
            found.append((*max(of_tag, key=lambda item: item[0]), tag))
    found.sort(key=lambda item: -item[0])
    return [(one, feature, tag) for _, one, feature, tag in found]


def _looked_at(one: Candidates, best: Sequence[int]) -> NDArray[np.int64]:
    alive = np.flatnonzero(one.maximum > 0)
    spread = alive[np.unique(np.linspace(0, len(alive) - 1, min(SCORED, len(alive))).astype(int))] if len(alive) else []
    return np.unique([*spread, *best]).astype(np.int64)


def _scores(
    subject: Subject, one: Candidates, features: NDArray[np.int64], prompts: Sequence[Ids]
) -> dict[int, tuple[float, float]]:
    """Output scores by feature, with the feature and without; none without logit weights, or without a prompt."""
    if one.promoted is None or not len(features) or not prompts:
        return {}
    maxima, promoted = one.maximum[features], one.promoted[features]
    found = output_scores(subject, one.site, one.dictionary, features, maxima, promoted, prompts, one.left_out)
    return {
        int(feature): (float(after), float(before)) for feature, (after, before) in zip(features, found, strict=True)
    }
