"""`architecture: floor`: its keys."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from polysem.params.recipes.base import Recipe, Weight


class FloorRecipe(Recipe):
    """ReLU with a fixed threshold and an L1 penalty."""

    saved_as: ClassVar[str] = "jumprelu"
    cases: ClassVar[tuple[dict[str, Any], ...]] = ({"floor": 0.1, "l1": 0.1},)

    architecture: Literal["floor"]
    floor: Annotated[float, Field(ge=0)]
    """Pre-activations at or below it are not active, in the scale of training."""
    l1: Weight
    """Weight of the per-token mean of the sum of the features."""
