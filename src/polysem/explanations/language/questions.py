"""What is asked about a feature: why it is active on shown examples, then whether it is on held-out ones."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polysem.explanations.language import prompts
from polysem.explanations.language.asking import Messages
from polysem.tables.passes.explanations.examples import HELD_OUT, SHOWN, Examples, Windows

Ask = Callable[[Messages], str]


def explained(examples: Examples, number: int, count: int, ask: Ask) -> str:
    """What a model says that a feature is active on, from `count` of its shown examples; '' for an empty answer."""
    windows = examples.windows(number, SHOWN)
    strongest = _some(examples, windows, "top", (count + 1) // 2, first=True)
    spread = _some(examples, windows, "active", count - len(strongest))
    largest = float(windows.activation.max())
    shown = []
    for context in [*strongest, *spread]:
        places = windows.window[context][windows.window[context] >= 0]
        active = [place for place in places.tolist() if windows.activation[place] > 0]
        levels = [
            (examples.texts.piece(int(windows.token[place])), _level(float(windows.activation[place]), largest))
            for place in active
        ]
        shown.append((_text(examples, windows, context, active), levels))
    return prompts.read_explanation(ask(prompts.explain(shown)))


def judged(
    examples: Examples, number: int, explanation: str, score: str, count: int, together: int, ask: Ask
) -> list[list[Any]]:
    """What a model predicts by an explanation of held-out examples: the number of the context, and whether it says yes;
    for simulation, a level for each token whose activation is known. None in place of an answer that cannot be read."""
    windows = examples.windows(number, HELD_OUT)
    half = count // 2
    if score == "simulation":
        chosen = _some(examples, windows, "top", half, first=True)
        chosen += _some(examples, windows, "random", count - half, first=True)
        return [_simulated(examples, windows, context, explanation, ask) for context in chosen]
    wrong = "inactive" if score == "detection" else "marked"
    kinds = _some(examples, windows, "active", half), _some(examples, windows, wrong, count - half)
    if not all(kinds):
        return []  # there is nothing to tell apart
    chosen = [*kinds[0], *kinds[1]]
    order = np.random.default_rng(int(examples.values["feature"][number])).permutation(len(chosen))
    found: list[list[Any]] = []
    for start in range(0, len(chosen), together):
        contexts = [chosen[one] for one in order[start : start + together]]
        marks = [[int(windows.centre[context])] if score == "fuzzing" else [] for context in contexts]
        texts = [_text(examples, windows, context, of) for context, of in zip(contexts, marks, strict=True)]
        answers = prompts.read_numbers(ask(prompts.judge(score, explanation, texts)), len(contexts), 1)
        found += [[context, None if answers is None else bool(answers[at])] for at, context in enumerate(contexts)]
    return sorted(found)


def _simulated(examples: Examples, windows: Windows, context: int, explanation: str, ask: Ask) -> list[Any]:
    places = windows.window[context][windows.window[context] >= 0]
    pieces = [examples.texts.piece(int(windows.token[place])) for place in places]
    return [context, prompts.read_numbers(ask(prompts.simulate(explanation, pieces)), len(pieces), prompts.LEVELS)]


def _some(examples: Examples, windows: Windows, role: str, count: int, *, first: bool = False) -> list[int]:
    """So many examples of a role: the first ones, or at even steps."""
    there: NDArray[np.int64] = np.flatnonzero(examples.role(role) & (windows.centre >= 0))
    if len(there) <= count or first:
        return there[:count].tolist()
    return there[np.linspace(0, len(there) - 1, count).round().astype(np.int64)].tolist()


def _text(examples: Examples, windows: Windows, context: int, marked: Sequence[int]) -> str:
    """The text of a window, in one line, with marks around some tokens; neighbours are marked together."""
    places = windows.window[context]
    parts: list[str] = []
    inside = False
    for place in places[places >= 0].tolist():
        if (place in marked) is not inside:
            parts.append(">>" if inside else "<<")
            inside = not inside
        parts.append(examples.texts.piece(int(windows.token[place])))
    return "".join([*parts, ">>" * inside]).replace("\n", "⏎")


def _level(activation: float, largest: float) -> int:
    """From 1 to 10: the tenth of the largest activation that it reaches into."""
    return min(prompts.LEVELS, max(1, int(np.ceil(prompts.LEVELS * activation / largest))))
