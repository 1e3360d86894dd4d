"""`architecture: jumprelu`: its keys."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polysem.params.recipes.base import Fraction, Recipe, Weight


class JumpReluRecipe(Recipe):
    """Each feature learns a threshold; the number of active features is penalised (Rajamanoharan et al. 2024)."""

    saved_as: ClassVar[str] = "jumprelu"

    architecture: Literal["jumprelu"]
    l0: Weight
    """Weight of the per-token mean of the number of active features."""
    l0_warmup: Fraction = 0.1
    """Share of steps in which it rises from 0."""
    threshold: Annotated[float, Field(gt=0, le=1e3)] = 0.1
    """Threshold of all features at the start, in the scale of training."""
    bandwidth: Annotated[float, Field(gt=0, le=1e3)] = 0.1
    """Width around the threshold within which pre-activations move it, in the scale of training."""
