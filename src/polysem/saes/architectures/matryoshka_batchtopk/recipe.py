"""`architecture: matryoshka_batchtopk`: its keys."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from polysem.io.errors import InputError
from polysem.params.recipes.largest import LargestRecipe


def _rising(shares: list[float]) -> list[float]:
    """The same; ValueError for shares that are not each larger than the one before."""
    if shares != sorted(set(shares)):
        raise ValueError(f"prefixes are {shares}; each must be larger than the one before it")
    return shares


class MatryoshkaBatchTopKRecipe(LargestRecipe):
    """BatchTopK whose first features reconstruct by themselves, too: the loss is the sum of the squared errors of all
    prefixes and of the whole (Bussmann et al. 2025). Saved as JumpReLU with its threshold."""

    saved_as: ClassVar[str] = "jumprelu"
    cases: ClassVar[tuple[dict[str, Any], ...]] = ({"k": 3}, {"k": 3, "prefixes": [0.3]})

    architecture: Literal["matryoshka_batchtopk"]
    prefixes: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1, max_length=64), AfterValidator(_rising)
    ] = [0.0625, 0.125, 0.25, 0.5]
    """Sizes of the nested prefixes as shares of all features, rising; the whole always is the last. A list, no grid."""

    def sizes(self, features: int) -> list[int]:
        """Numbers of features of the prefixes, the whole among them; InputError if two of them are the same."""
        found = [*(round(share * features) for share in self.prefixes), features]
        if not found[0] or found != sorted(set(found)):
            raise InputError(
                f"prefixes {self.prefixes} of {features} features have {', '.join(map(str, found))}; each needs one "
                "more than the one before it: give fewer prefixes, or raise expansion"
            )
        return found

    def check_features(self, features: int) -> None:
        """See `Recipe.check_features`."""
        super().check_features(features)
        self.sizes(features)

    def training_details(self, features: int) -> dict[str, Any]:
        """See `Recipe.training_details`; with SAELens's names of these keys."""
        return {"k": self.k, "matryoshka_widths": self.sizes(features)}
