"""What an explainer gets of a feature: tokens in their texts with its activations, and nothing that is held out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.explanations.rules import Endings, Rule
from polysem.tables.passes.explanations.texts import Texts

NAMED = 8
"""Tokens that a text names; of more it says how many there are."""


@dataclass(frozen=True)
class Explanation:
    """Why a feature is active: a text for people, and what predicts its activation."""

    text: str
    rule: Rule

    def values(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"text": self.text, "rule": self.rule.values()}


NOTHING = Explanation("", Endings({}))
"""What an explainer says that finds no rule: that the feature is never active."""


@dataclass(frozen=True)
class Shown:
    """The shown examples of a feature, token by token: all that stand in their windows."""

    texts: Texts
    token: Int[np.ndarray, " token"]
    """Their numbers in the texts, each once, ascending."""
    activation: Float[np.ndarray, " token"]
    called: Callable[[int], str]
    """What a token is called, by its id."""
    boosted: Int[np.ndarray, " rank"] | None = None
    """Ids of the tokens whose logits the feature raises most, the first one most; None without logit weights."""

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """What each token is."""
        return self.texts.ids[self.token]

    @cached_property
    def is_active(self) -> NDArray[np.bool_]:
        """Whether the feature is active on each."""
        return self.activation > 0

    def level(self, here: Bool[np.ndarray, " token"]) -> float:
        """Mean activation of some of the tokens, in four digits."""
        return rounded(self.activation[here].mean()) if here.any() else 0.0

    def correlations(self, columns: Bool[np.ndarray, "token candidate"]) -> NDArray[np.float64]:
        """Pearson correlation of the activation with each of some properties of the tokens; −1 for a property of all
        or of none."""
        count, tokens = columns.sum(axis=0), len(columns)
        centred = self.activation - self.activation.mean()
        along = centred @ columns
        scale = np.sqrt(count * (1 - count / max(tokens, 1)) * (centred @ centred))
        return np.divide(along, scale, out=np.full(len(count), -1.0), where=(scale > 0) & (count < tokens))

    def listed(self, ids: list[int]) -> str:
        """Some tokens in words, the first ones by name."""
        names = ", ".join(f'"{self.called(one)}"' for one in ids[:NAMED])
        more = len(ids) - NAMED
        return names if more <= 0 else f"{names} and {more} more"


def rounded(value: float) -> float:
    """In four digits, by which a file stays short and a rule stays the same."""
    return float(f"{value:.4g}")
