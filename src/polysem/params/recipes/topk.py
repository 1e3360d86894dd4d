"""`architecture: topk`: its keys."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polysem.params.recipes.base import Recipe


class TopKRecipe(Recipe):
    """Only the k largest features of a token stay active; no penalty."""

    saved_as: ClassVar[str] = "topk"

    architecture: Literal["topk"]
    k: Annotated[int, Field(ge=1, le=65_536)]
    """Active features per token."""
