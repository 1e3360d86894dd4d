"""Scores of explanations by what a language model answered when it was asked to predict by them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.tables.passes.explanations.examples import Windows
from polysem.tables.passes.explanations.scores import SCORES, balanced_accuracy, correlation


def judgements(
    answers: Mapping[str, Sequence[Sequence[Any]]], windows: Windows, role: NDArray[np.object_]
) -> tuple[Float[NDArray, " score"], Int[NDArray, " score"], Int[NDArray, " score"]]:
    """The scores, on how many tokens, contexts and marks each rests, and of how many of these no answer can be read.

    `answers` are, by score, pairs of a context and what was said of it: yes or no; for simulation a level for every
    token of its window whose activation is known; None for an answer that cannot be read, which counts as wrong: as the
    contrary of the truth, and in simulation as no activation. NaN and 0 for a score that was not asked for.
    InputError for answers about other examples than these.
    """
    score, count, unreadable = np.full(len(SCORES), np.nan), np.zeros(len(SCORES), int), np.zeros(len(SCORES), int)
    for number, name in enumerate(SCORES):
        if not (given := answers.get(name)):
            continue
        try:
            of = _simulated(given, windows) if name == "simulation" else _recognised(given, windows, role)
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"answers of {name} are not of these examples ({error}); explain them again") from error
        score[number], count[number], unreadable[number] = of
    return score, count, unreadable


def _recognised(given: Sequence[Sequence[Any]], windows: Windows, role: NDArray[np.object_]) -> tuple[float, int, int]:
    contexts = np.array([context for context, _ in given], np.int64)
    if (windows.centre[contexts] < 0).any():
        raise ValueError("an example is not there")
    true = role[contexts] == "active"
    answered = np.array([said is not None for _, said in given])
    said = np.where(answered, [bool(said) for _, said in given], ~true)
    return balanced_accuracy(said, true), len(given), int((~answered).sum())


def _simulated(given: Sequence[Sequence[Any]], windows: Windows) -> tuple[float, int, int]:
    """Over tokens, each once: of one that stands in two windows the first answer counts."""
    said: dict[int, float] = {}
    lost: set[int] = set()
    for context, levels in given:
        places = windows.window[context][windows.window[context] >= 0].tolist()
        if levels is not None and len(levels) != len(places):
            raise ValueError(f"{len(levels)} levels for {len(places)} tokens")
        for place, level in zip(places, levels or [0] * len(places), strict=True):
            if place not in said or (place in lost and levels is not None):
                said[place] = float(level)
                lost = lost | {place} if levels is None else lost - {place}
    places = np.array(sorted(said), np.int64)
    predicted = np.array([said[place] for place in places.tolist()])
    return correlation(predicted, windows.activation[places]), len(places), len(lost)
