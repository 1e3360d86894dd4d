"""What recipes share whose L0 follows from the weight of a penalty."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from polysem.params.recipes.base import Recipe


class PenalisedRecipe(Recipe):
    """A recipe with a sparsity penalty, whose weight is given or found."""

    weight_key: ClassVar[str] = "l1"
    """The key of the weight."""
    schedule_keys: ClassVar[tuple[str, ...]] = ("l1_warmup",)
    """Keys that say how a given weight rises and falls."""

    target_l0: Annotated[float, Field(gt=0, le=65_536)] | None = None
    """Mean number of active features per token to steer to, in place of a weight of the penalty: the weight is then
    found during training."""

    @model_validator(mode="after")
    def _one_of_weight_and_target(self) -> Self:
        weight = getattr(self, self.weight_key)
        if (weight is None) == (self.target_l0 is None):
            found = "neither" if weight is None else "both"
            raise ValueError(
                f"give one of {self.weight_key}, the weight of the penalty, and target_l0, the number of active "
                f"features to steer to; found {found}"
            )
        others = getattr(self, "hoyer", None) is not None  # a second penalty has the same schedule
        for key in self.schedule_keys if self.target_l0 is not None and not others else ():
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is read with {self.weight_key}; here target_l0 steers its weight")
        return self
