"""`architecture: relu`: its keys."""

from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from polysem.params.recipes.base import DecoderNorm, Fraction, StartNorm, Weight
from polysem.params.recipes.penalised import PenalisedRecipe

NAMED = {
    "towards-monosemanticity": {
        "decoder_norm": "unit",
        "beta1": 0.9,
        "beta2": 0.999,
        "clip_norm": None,
    },
}
"""What the documents' recipes say, by name."""


class ReluRecipe(PenalisedRecipe):
    """ReLU and a sparsity penalty, the SAE of *Towards Monosemanticity* (S1.M1)."""

    saved_as: ClassVar[str] = "standard"
    cases: ClassVar[tuple[dict[str, Any], ...]] = (
        {"l1": 0.3, "l1_warmup": 0.0},
        {"l1": 0.3, "l1_warmup": 0.0, "penalty": "sqrt"},
        {"l1": 0.3, "l1_warmup": 0.0, "penalty": "hoyer_l1", "hoyer": 0.2},
        {"l1": 0.3, "l1_warmup": 0.0, "penalty": "hoyer_sqrt", "hoyer": 0.2},
        {"l1": 0.3, "l1_warmup": 0.0, "recipe": "towards-monosemanticity"},
        {"target_l0": 4},
    )
    transcodes: ClassVar[bool] = True
    schedule_keys: ClassVar[tuple[str, ...]] = ("l1_warmup", "l1_decay")

    architecture: Literal["relu"]
    recipe: Literal["towards-monosemanticity"] | None = None
    """`towards-monosemanticity`: keys that are not given are those of that document: unit decoder norms, a penalty of f
    alone, Adam with 0.9 and 0.999, no clipping."""
    decoder_norm: DecoderNorm = "free"
    """See `Recipe.decoder_norm`."""
    decoder_start: StartNorm = 0.1
    """Norm of the first decoder rows, for free and unpenalised norms; others start at 1, and so do those of a
    transcoder unless told otherwise."""
    penalty: Literal["l1", "sqrt", "hoyer_l1", "hoyer_sqrt"] = "l1"
    """`l1`: the sum of the features; `sqrt`: their roots where they are below 1; `hoyer_…`: besides, the squared sum
    over the sum of squares (the TinyStories SAEs of S0)."""
    l1: Weight | None = None
    """Weight of the per-token mean of the sum of the features (or of their roots), beside the per-token mean of the
    squared error; give it or target_l0."""
    hoyer: Weight | None = None
    """Weight of the per-token mean of the squared sum over the sum of squares, for the `hoyer_…` penalties."""
    l1_warmup: Fraction = 0.1
    """Share of steps in which the weights of the penalty rise from 0."""
    l1_decay: Fraction = 0.0
    """Share of steps at the end in which they fall to 0."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults(cls, values: Any) -> Any:
        """Those of the named recipe, and decoder rows of norm 1 for a transcoder: it has another site to predict than
        it reads, so short rows are no better a guess there."""
        if not isinstance(values, dict):
            return values
        name = values.get("recipe")
        found = {**NAMED[name], **values} if isinstance(name, str) and name in NAMED else values
        free = found.get("decoder_norm", "free") in ("free", "unpenalised")
        return {"decoder_start": 1.0, **found} if found.get("target") is not None and free else found

    @model_validator(mode="after")
    def _hoyer_has_a_weight(self) -> Self:
        wanted = self.penalty.startswith("hoyer_")
        if wanted and self.hoyer is None:
            raise ValueError(f"penalty {self.penalty} needs the key hoyer, the weight of its second term")
        if not wanted and self.hoyer is not None:
            raise ValueError(f"hoyer is read with penalty: hoyer_l1, hoyer_sqrt; here it is {self.penalty}")
        return self
