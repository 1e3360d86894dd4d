"""What explainers said of features, held against examples that they did not see, and against other features."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.tables.passes.explanations.examples import HELD_OUT, SHOWN, Examples, Windows
from polysem.tables.passes.explanations.judged import judgements
from polysem.tables.passes.explanations.rules import Rule, rule_of
from polysem.tables.passes.explanations.scores import SCORES, Asked, Thresholds, scores


@dataclass(frozen=True)
class Said:
    """What explainers say of the features of a model."""

    explainers: tuple[str, ...]
    by_feature: Mapping[tuple[str, str, str, int], Mapping[str, Mapping[str, Any]]]
    """By model, site, dictionary and feature what each explainer says."""
    notes: Mapping[str, str]
    """Why an explainer did not say all that it was to say."""

    @classmethod
    def read(cls, path: Path) -> "Said":
        """The file that `explain_features` wrote; InputError for one that it did not."""
        try:
            with path.open(encoding="utf-8") as file:
                head, *said = map(json.loads, file)
            found = {(one["model"], one["site"], one["dictionary"], one["feature"]): one["by"] for one in said}
            return cls(tuple(head["explainers"]), found, dict(head["notes"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path} holds no explanations ({error}); delete it and run again") from error


@dataclass(frozen=True)
class Scored:
    """Texts and scores of the explanations of all explained features; NaN where there is none."""

    text: NDArray[np.object_]
    """[explained, explainer]"""
    own: Float[np.ndarray, "explained explainer score"]
    shuffled: Float[np.ndarray, "explained explainer score"]
    """Of the explanation of another feature of the same dictionary."""
    count: Int[np.ndarray, "explained explainer score"]
    """Tokens, contexts and marks that scores rest on."""
    unreadable: Int[np.ndarray, "explained explainer score"]
    """Of those, such as a language model gave no answer for that can be read: they count as wrong."""


@dataclass(frozen=True)
class _Test:
    """The held-out examples of a feature, and its explanations with their thresholds."""

    windows: Windows
    asked: Asked
    rules: Mapping[str, tuple[Rule, Thresholds]]

    def scores(self, rule: Rule, at: Thresholds, examples: Examples) -> list[float]:
        predicted = rule.predict(examples.texts, self.windows.token)
        return scores(predicted, self.windows.activation, self.asked, at)


def scored(examples: Examples, said: Said, seed: int) -> Scored:
    """The scores of all explanations on held-out examples; thresholds are chosen on those that were shown."""
    shape = (len(examples), len(said.explainers))
    text = np.full(shape, "", object)
    own, shuffled = (np.full((*shape, len(SCORES)), np.nan) for _ in range(2))
    count, unreadable = (np.zeros((*shape, len(SCORES)), np.int64) for _ in range(2))
    tests: dict[int, _Test] = {}
    for number in range(len(examples)):
        of = said.by_feature.get((*examples.place(number), int(examples.values["feature"][number])))
        if of is None:
            continue
        tests[number] = _test(examples, number, of)
        for column, name in enumerate(said.explainers):
            text[number, column] = of[name]["text"] if name in of else ""
            if name in tests[number].rules:
                count[number, column] = tests[number].asked.counts()
            elif name in of:
                judged = judgements(of[name]["answers"], tests[number].windows, examples.values["role"])
                own[number, column], count[number, column], unreadable[number, column] = judged
    for column, name in enumerate(said.explainers):
        mine = [number for number, test in tests.items() if name in test.rules]
        partner = _partners(examples, mine, seed)
        for number in mine:
            test = tests[number]
            own[number, column] = test.scores(*test.rules[name], examples)
            if number in partner:
                shuffled[number, column] = test.scores(*tests[partner[number]].rules[name], examples)
    return Scored(text, own, shuffled, count, unreadable)


def _test(examples: Examples, number: int, said: Mapping[str, Mapping[str, Any]]) -> _Test:
    role = examples.values["role"]
    shown, held_out = (examples.windows(number, half) for half in (SHOWN, HELD_OUT))
    asked = Asked.of(shown, role)
    rules = {}
    for name, one in said.items():
        if "rule" not in one:
            continue
        rule = rule_of(one["rule"])
        rules[name] = rule, Thresholds.chosen(rule.predict(examples.texts, shown.token), asked)
    return _Test(held_out, Asked.of(held_out, role), rules)


def _partners(examples: Examples, numbers: Sequence[int], seed: int) -> dict[int, int]:
    """Of each feature another one of the same dictionary: the next in a random order of them."""
    draw = np.random.default_rng(seed)
    found: dict[int, int] = {}
    place = examples.values["of_place"][numbers] if len(numbers) else np.zeros(0, np.int64)
    for one in np.unique(place):
        order = draw.permutation(np.asarray(numbers)[place == one]).tolist()
        if len(order) > 1:
            found |= dict(zip(order, [*order[1:], order[0]], strict=True))
    return found
