"""`architecture: gated`: its keys."""

from typing import Any, ClassVar, Literal

from polysem.params.recipes.base import Fraction, Weight
from polysem.params.recipes.penalised import PenalisedRecipe


class GatedRecipe(PenalisedRecipe):
    """A gate decides which features are active, another map how strongly (Rajamanoharan et al. 2024)."""

    saved_as: ClassVar[str] = "gated"
    cases: ClassVar[tuple[dict[str, Any], ...]] = ({"l1": 0.3, "l1_warmup": 0.0}, {"target_l0": 4})

    architecture: Literal["gated"]
    l1: Weight | None = None
    """Weight of the per-token mean of the sum of the gates above 0; give it or target_l0."""
    l1_warmup: Fraction = 0.1
    """Share of steps in which l1 rises from 0."""
