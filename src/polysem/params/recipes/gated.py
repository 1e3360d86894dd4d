"""`architecture: gated`: its keys."""

from typing import ClassVar, Literal

from polysem.params.recipes.base import Fraction, Recipe, StartNorm, Weight


class GatedRecipe(Recipe):
    """A gate decides which features are active, another map how strongly (Rajamanoharan et al. 2024)."""

    saved_as: ClassVar[str] = "gated"

    architecture: Literal["gated"]
    encoder_start: StartNorm = 0.1
    """Norm of the first encoder rows."""
    l1: Weight
    """Weight of the per-token mean of the sum of the gates above 0."""
    l1_warmup: Fraction = 0.1
    """Share of steps in which it rises from 0."""
