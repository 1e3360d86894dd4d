"""What recipes share that keep the largest features."""

from typing import Annotated

from pydantic import Field

from polysem.params.recipes.base import DeadFeatures, Recipe, Steps, Weight


class LargestRecipe(Recipe):
    """A recipe without a penalty: a feature is active where it is among the largest. One that never is gets no gradient
    from the error alone and stays dead, so the dead learn from what the others miss."""

    k: Annotated[int, Field(ge=1, le=65_536)]
    """Active features per token; of `batchtopk` and `matryoshka_batchtopk` on average."""
    dead_features: DeadFeatures = "auxk"
    """As for other recipes; by default the dead predict what the others miss (Gao et al. 2024)."""
    dead_every: Steps = 50
    """Steps between two counts of dead features; firings are counted in the second half of each interval."""
    auxk_weight: Weight = 1.0
    """Weight of the squared error of what the dead predict."""
