"""`architecture: relu`: its keys."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polysem.params.recipes.base import Recipe


class ReluRecipe(Recipe):
    """ReLU and an L1 penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""

    saved_as: ClassVar[str] = "standard"

    architecture: Literal["relu"]
    l1: Annotated[float, Field(ge=0, le=1e6)]
    """Weight of the per-token mean of the L1 norm of the features, beside the per-token mean of the squared error."""
    l1_warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of steps in which the weight of the L1 norm rises from 0."""
