"""`architecture: jumprelu`: its keys."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from polysem.params.recipes.base import Fraction, Weight
from polysem.params.recipes.penalised import PenalisedRecipe


class JumpReluRecipe(PenalisedRecipe):
    """Each feature learns a threshold; the number of active features is penalised (Rajamanoharan et al. 2024)."""

    saved_as: ClassVar[str] = "jumprelu"
    cases: ClassVar[tuple[dict[str, Any], ...]] = (
        {"l0": 0.1, "l0_warmup": 0.0, "threshold": 0.3, "bandwidth": 0.2},
        {"l0": 0.1, "l0_warmup": 0.0, "threshold": 0.3, "bandwidth": 0.2, "penalty_moves": "thresholds"},
        {"target_l0": 4, "threshold": 0.3, "bandwidth": 0.2},
    )
    transcodes: ClassVar[bool] = True
    weight_key: ClassVar[str] = "l0"
    schedule_keys: ClassVar[tuple[str, ...]] = ("l0_warmup",)

    architecture: Literal["jumprelu"]
    l0: Weight | None = None
    """Weight of the per-token mean of the number of active features; give it or target_l0."""
    l0_warmup: Fraction = 0.1
    """Share of steps in which l0 rises from 0."""
    threshold: Annotated[float, Field(gt=0, le=1e3)] = 0.1
    """Threshold of all features at the start, in the scale of training."""
    bandwidth: Annotated[float, Field(gt=0, le=1e3)] = 1.0
    """Width around the threshold within which pre-activations move it, in the scale of training."""
    penalty_moves: Literal["all", "thresholds"] = "all"
    """`all`: pre-activations near their threshold are pushed away from it, too, through the encoder; `thresholds`: the
    penalty and the error move thresholds alone, as in the paper."""
