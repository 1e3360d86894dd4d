"""`architecture: topk`: its keys."""

from typing import Any, ClassVar, Literal

from polysem.params.recipes.largest import LargestRecipe


class TopKRecipe(LargestRecipe):
    """Only the k largest features of a token stay active; no penalty."""

    saved_as: ClassVar[str] = "topk"
    cases: ClassVar[tuple[dict[str, Any], ...]] = ({"k": 3},)

    architecture: Literal["topk"]
