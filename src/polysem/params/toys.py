"""`toys:` — activations made of features that are known."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from polysem.params.base import Name, Section, Seed, Share, Tokens, Width


class Toy(Section):
    """Sums of known directions of norm 1, each active at random. The defaults are the set of Sharkey et al. 2022,
    *Taking features out of superposition with sparse autoencoders*."""

    saes: list[Name] = []
    """Recipes that are trained on it; `models: []` keeps a recipe to such sets."""
    neurons: Width = 256
    """Numbers per row."""
    features: Width = 512
    """Known directions."""
    orthogonal: bool = False
    """Directions at right angles; otherwise random ones. Needs at least as many neurons as features."""
    parents: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Features that have children: the first ones."""
    children: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Children of each parent: the last features, those of the first parent before those of the second. A child is
    active only where its parent is."""
    child_chance: Share = 0.5
    """Share of a parent's rows on which one of its children is active, too; all of them are equally likely, and never
    two are active."""
    active: Annotated[float, Field(gt=0, le=65_536)] = 5.0
    """Active features per row, on average, children not counted."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Each feature is this many times as likely as the one before it."""
    correlated: bool = True
    """The probabilities of a row vary around their mean, with random correlations between features."""
    least: Annotated[float, Field(ge=0, le=1e3)] = 0.0
    """Smallest size of an active feature; sizes are uniform."""
    largest: Annotated[float, Field(gt=0, le=1e3)] = 1.0
    """Largest size of an active feature."""
    eval_rows: Tokens = 50_000
    """Rows, apart from those of training, on which firing is compared."""
    recovered_at: Share = 0.9
    """A feature is recovered if a living feature of the SAE has at least this cosine with it."""
    seed: Seed = 0
    """Seed of directions, correlations and rows."""

    @property
    def roots(self) -> int:
        """Number of features that are no children."""
        return self.features - self.parents * self.children

    def rows(self) -> dict[str, Any]:
        """What a training on it reads: all keys but which recipes it is for."""
        values = self.values()
        del values["saes"]
        return values

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.orthogonal and self.features > self.neurons:
            raise ValueError(
                f"orthogonal: {self.features} features cannot be at right angles among {self.neurons} neurons"
            )
        if self.largest <= self.least:
            raise ValueError(f"largest ({self.largest:g}) must exceed least ({self.least:g})")
        if (self.parents == 0) != (self.children == 0):
            raise ValueError(f"parents ({self.parents}) and children ({self.children}) belong together; give both")
        if not self.children and self.child_chance != type(self).model_fields["child_chance"].default:
            raise ValueError("child_chance is read with parents and children; here there are none")
        if self.roots < max(self.parents, 1):
            raise ValueError(
                f"parents: {self.parents} with {self.children} children each do not fit into {self.features} features"
            )
        highest = self.active * (1 if self.decay == 1 else (1 - self.decay) / (1 - self.decay**self.roots))
        highest /= self.roots if self.decay == 1 else 1
        highest *= 2 if self.correlated else 1
        if highest > 1:
            raise ValueError(
                f"active: with {self.active:g} active features the most likely one would have probability "
                f"{highest:.3g}; lower active or raise decay or features"
            )
        return self
