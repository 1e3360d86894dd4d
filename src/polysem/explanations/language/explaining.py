"""What the language models of a study say of the features of one model, as far as they answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from polysem.explanations.language.answers import Answers
from polysem.explanations.language.asking import Asker, UnavailableError
from polysem.explanations.language.questions import explained, judged
from polysem.tables.passes.explanations.examples import Examples


@dataclass
class Said:
    """What one model said."""

    by_feature: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number of the explained feature: `text`, and `answers` by score."""
    note: str = ""
    """Why it did not say all that it was to say; '' if it did."""
    calls: int = 0
    """Questions that were asked anew."""
    tokens: int = 0
    kept: int = 0
    """Answers that were there already."""


def ask_all(name: str, params: Mapping[str, Any], examples: Examples, answers: Path) -> Said:
    """Ask a model about some features of each dictionary. Whatever happens to it, what it said until then is there, and
    the note says the rest in a sentence."""
    module = import_module(f"polysem.explanations.language.{params['source']}")
    asker = Asker(name, module.Client(dict(params)), Answers(answers), params["most_calls"], params["most_tokens"])
    said, wanted = Said(), _chosen(examples, params["features"])
    try:
        for number in wanted:
            text = explained(examples, number, params["examples"], asker.ask)
            of: dict[str, Any] = {"text": text, "answers": {}}
            said.by_feature[number] = of
            for score in params["scores"] if text else ():
                of["answers"][score] = judged(
                    examples, number, text, score, params["scored_examples"], params["contexts_per_call"], asker.ask
                )
    except UnavailableError as error:
        done = sum(not of["text"] or set(of["answers"]) == set(params["scores"]) for of in said.by_feature.values())
        said.note = f"{error}; {done} of {len(wanted)} features were asked about, the answers are kept"
    said.calls, said.tokens, said.kept = asker.calls, asker.tokens, asker.kept
    return said


def _chosen(examples: Examples, count: int) -> list[int]:
    """So many explained features with examples enough of each dictionary, at even steps."""
    chosen: list[int] = []
    place = examples.values["of_place"]
    for one in np.unique(place).tolist():
        there = [number for number in np.flatnonzero(place == one).tolist() if examples.is_enough(number)]
        steps = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
        chosen += [there[step] for step in np.unique(steps)]
    return chosen
