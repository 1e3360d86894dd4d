"""`architecture: batchtopk`: its keys."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from polysem.params.recipes.base import Recipe


class BatchTopKRecipe(Recipe):
    """The largest features of a batch stay active, k per token on average; saved as JumpReLU with its threshold."""

    saved_as: ClassVar[str] = "jumprelu"

    architecture: Literal["batchtopk"]
    k: Annotated[int, Field(ge=1, le=65_536)]
    """Active features per token, on average."""
