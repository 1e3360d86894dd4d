"""`architecture: batchtopk`: its keys."""

from typing import Any, ClassVar, Literal

from polysem.params.recipes.largest import LargestRecipe


class BatchTopKRecipe(LargestRecipe):
    """The largest features of a batch stay active, k per token on average; saved as JumpReLU with its threshold."""

    saved_as: ClassVar[str] = "jumprelu"
    cases: ClassVar[tuple[dict[str, Any], ...]] = ({"k": 3},)
    transcodes: ClassVar[bool] = True

    architecture: Literal["batchtopk"]
