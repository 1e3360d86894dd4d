"""`architecture: topk`: its keys."""

from typing import ClassVar, Literal

from polysem.params.recipes.largest import LargestRecipe


class TopKRecipe(LargestRecipe):
    """Only the k largest features of a token stay active; no penalty."""

    saved_as: ClassVar[str] = "topk"

    architecture: Literal["topk"]
