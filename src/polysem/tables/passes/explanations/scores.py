"""How well a prediction agrees with a feature: simulation, detection and fuzzing, on examples that are held out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.explanations.examples import Windows

SCORES = ("simulation", "detection", "fuzzing")


@dataclass(frozen=True)
class Asked:
    """What the held-out, or the shown, examples of a feature ask of a prediction."""

    simulated: Int[np.ndarray, " token"]
    """Places of the tokens of the strongest and of the random examples, each once."""
    contexts: Int[np.ndarray, "context offset"]
    """Places of the tokens of contexts with and without activation, −1: none."""
    is_active: Bool[np.ndarray, " context"]
    marked: Int[np.ndarray, " mark"]
    """Places of single tokens, on which the feature is active or not."""
    is_right: Bool[np.ndarray, " mark"]

    @classmethod
    def of(cls, windows: Windows, role: NDArray[np.object_]) -> "Asked":
        """The questions of some examples by their roles."""
        there = windows.centre >= 0
        top = windows.window[np.isin(role, ("top", "random")) & there]
        active, inactive, wrong = (there & (role == of) for of in ("active", "inactive", "marked"))
        return cls(
            np.unique(top[top >= 0]),
            np.concatenate([windows.window[active], windows.window[inactive]]),
            np.repeat([True, False], [active.sum(), inactive.sum()]),
            np.concatenate([windows.centre[active], windows.centre[wrong]]),
            np.repeat([True, False], [active.sum(), wrong.sum()]),
        )

    def counts(self) -> list[int]:
        """Tokens, contexts and marks that `SCORES` rest on; 0 where there are none of either kind."""
        return [
            len(self.simulated),
            len(self.is_active) if 0 < self.is_active.sum() < len(self.is_active) else 0,
            len(self.is_right) if 0 < self.is_right.sum() < len(self.is_right) else 0,
        ]


@dataclass(frozen=True)
class Thresholds:
    """From which predicted activation on a context counts as active, and a mark as right."""

    detection: float
    fuzzing: float

    @classmethod
    def chosen(cls, predicted: Float[np.ndarray, " token"], shown: Asked) -> "Thresholds":
        """Those with the highest balanced accuracy on the shown examples."""
        strongest, marks = _in_contexts(predicted, shown), predicted[shown.marked]
        return cls(best_threshold(strongest, shown.is_active), best_threshold(marks, shown.is_right))


def scores(
    predicted: Float[np.ndarray, " token"], actual: Float[np.ndarray, " token"], asked: Asked, at: Thresholds
) -> list[float]:
    """The scores of a prediction of the activations of a feature, in the order of `SCORES`.

    - Simulation: the correlation of predicted and real activation over the tokens of the strongest and of random
      examples together. Source: Bills et al. 2023.
    - Detection: balanced accuracy of saying in which contexts the feature is active: where the largest prediction
      reaches the threshold. Fuzzing: balanced accuracy of saying on which marked tokens it is. Source: Paulo et al.
      2024, whose judge is a language model; here the rule itself answers.

    NaN where there is nothing to tell apart.
    """
    return [
        correlation(predicted[asked.simulated], actual[asked.simulated]),
        balanced_accuracy(_in_contexts(predicted, asked) >= at.detection, asked.is_active),
        balanced_accuracy(predicted[asked.marked] >= at.fuzzing, asked.is_right),
    ]


def correlation(predicted: Float[np.ndarray, " token"], actual: Float[np.ndarray, " token"]) -> float:
    """Pearson's; 0 for a prediction that is the same everywhere, NaN where the activation is."""
    if len(actual) < 2 or np.ptp(actual) == 0:
        return np.nan
    if np.ptp(predicted) == 0:
        return 0.0
    a, b = predicted - predicted.mean(), actual - actual.mean()
    return float(a @ b) / float((a @ a) * (b @ b)) ** 0.5


def balanced_accuracy(said: Bool[np.ndarray, " example"], true: Bool[np.ndarray, " example"]) -> float:
    """Mean of the shares of true and of false ones that are recognised; NaN without examples of either kind."""
    positive, negative = int(true.sum()), int((~true).sum())
    if not positive or not negative:
        return np.nan
    return float((said & true).sum() / positive + (~said & ~true).sum() / negative) / 2


def best_threshold(values: Float[np.ndarray, " example"], true: Bool[np.ndarray, " example"]) -> float:
    """The value from which on saying yes has the highest balanced accuracy, the largest of equal ones; infinity where
    saying no always is as good, or there are no examples of either kind."""
    positive, negative = int(true.sum()), int((~true).sum())
    if not positive or not negative:
        return np.inf
    order = np.argsort(-values, kind="stable")
    ordered, hits = values[order], true[order]
    gain = np.cumsum(hits) * negative - np.cumsum(~hits) * positive  # whole numbers, so that equal ones are equal
    last = np.append(ordered[1:] != ordered[:-1], True)
    gain = np.where(last, gain, -1)
    best = int(np.argmax(gain))
    return float(ordered[best]) if gain[best] > 0 else np.inf


def _in_contexts(predicted: Float[np.ndarray, " token"], asked: Asked) -> Float[NDArray, " context"]:
    """The largest prediction of each context."""
    if not len(predicted):
        return np.full(len(asked.contexts), -np.inf)
    return np.where(asked.contexts >= 0, predicted[asked.contexts], -np.inf).max(axis=1, initial=-np.inf)
