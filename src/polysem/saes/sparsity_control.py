"""`target_l0`: a controller that steers the weight of a sparsity penalty until as many features are active as asked."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from polysem.params.recipes.penalised import PenalisedRecipe
from polysem.saes.losses import PENALTY, SQUARED_ERROR, BaseLoss, Term, Weights, ramp

START = 0.3
"""Weight at which the controller starts, where activations have a mean norm of √neurons."""
SETTLE = 0.3
"""Share of training after which L0 is to be where it was asked for; until then it falls along a straight line in its
logarithm, so that features have time to find a direction."""
TIME = 0.05
"""Time in which a deviation is integrated, as a share of all steps."""
SHORTEST, LONGEST = 15, 200
"""Bounds of that time in steps: as long as features take to follow a new weight."""


class SparsityControl:
    """Proportional and integral control of log(weight) by the logarithm of L0, a batch at a time."""

    def __init__(self, target: float, steps: int) -> None:
        self._target = target
        self._time = min(max(TIME * steps, SHORTEST), LONGEST)
        self._first = torch.zeros((), dtype=torch.float64)
        self._integral = torch.zeros((), dtype=torch.float64)
        self._error = torch.zeros((), dtype=torch.float64)

    @property
    def weight(self) -> float:
        """The weight of the penalty for the next batch."""
        return START * math.exp(float(self._error + self._integral))

    def see(self, l0: float, progress: float) -> None:
        """Take the mean number of active features of a batch; `progress` is the share of training that is done."""
        found = math.log(max(l0, 1e-3) / self._target)
        if not self._first:
            self._first.fill_(found)
        wanted = float(self._first) * max(0.0, 1 - progress / SETTLE)
        self._error.fill_(found - wanted)
        self._integral += self._error / self._time

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"first": self._first, "integral": self._integral, "error": self._error}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self._first.copy_(state["first"])
        self._integral.copy_(state["integral"])
        self._error.copy_(state["error"])


class PenalisedLoss(BaseLoss):
    """The loss of an architecture whose L0 follows from the weight of a penalty: one that is given, or steered."""

    TERMS: ClassVar[dict[str, Term]] = {"squared_error": SQUARED_ERROR, "penalty": PENALTY}

    def __init__(self, recipe: PenalisedRecipe, weight: float | None, rise: float, fall: float = 0.0) -> None:
        """`rise` and `fall` are the shares of training in which a given weight rises from 0 and falls to 0."""
        self._given, self._rise, self._fall = weight, rise, fall
        steps = max(1, recipe.tokens // recipe.batch_size)
        self._control = None if recipe.target_l0 is None else SparsityControl(recipe.target_l0, steps)
        self.weight = 0.0
        """The weight of the penalty in this step."""

    @property
    def coefficient(self) -> float | None:
        """See `BaseLoss.coefficient`."""
        return None if self._control is None else self.weight

    def begin(self, weights: Weights, progress: float) -> None:
        """Set the weight of the penalty."""
        if self._control is not None:
            self.weight = self._control.weight
        else:
            assert self._given is not None, "a recipe has a weight or a target"
            self.weight = self._given * ramp(self._rise, self._fall, progress)

    def see(self, l0: float, progress: float) -> None:
        """Let the controller follow."""
        if self._control is not None:
            self._control.see(l0, progress)

    def state(self) -> dict[str, Tensor]:
        """What the controller knows."""
        return {} if self._control is None else self._control.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        if self._control is not None:
            self._control.load_state(state)
