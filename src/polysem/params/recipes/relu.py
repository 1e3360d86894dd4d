"""`architecture: relu`: its keys."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from polysem.params.recipes.base import Fraction, Recipe, StartNorm, Weight


class ReluRecipe(Recipe):
    """ReLU and a sparsity penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""

    saved_as: ClassVar[str] = "standard"

    architecture: Literal["relu"]
    encoder_start: StartNorm = 0.1
    """Norm of the first encoder rows."""
    penalty: Literal["l1", "sqrt", "hoyer_l1", "hoyer_sqrt"] = "l1"
    """`l1`: the sum of the features; `sqrt`: their roots where they are below 1; `hoyer_…`: besides, the squared sum
    over the sum of squares (the TinyStories SAEs of S0)."""
    l1: Weight
    """Weight of the per-token mean of the sum of the features (or of their roots), beside the per-token mean of the
    squared error."""
    hoyer: Weight | None = None
    """Weight of the per-token mean of the squared sum over the sum of squares, for the `hoyer_…` penalties."""
    l1_warmup: Fraction = 0.1
    """Share of steps in which the weights of the penalty rise from 0."""
    l1_decay: Fraction = 0.0
    """Share of steps at the end in which they fall to 0."""

    @model_validator(mode="after")
    def _hoyer_has_a_weight(self) -> Self:
        wanted = self.penalty.startswith("hoyer_")
        if wanted and self.hoyer is None:
            raise ValueError(f"penalty {self.penalty} needs the key hoyer, the weight of its second term")
        if not wanted and self.hoyer is not None:
            raise ValueError(f"hoyer is read with penalty: hoyer_l1, hoyer_sqrt; here it is {self.penalty}")
        return self
