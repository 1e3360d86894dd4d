"""Linear maps inside a booted model: weights and norms, taken for what they do and not for what they are called."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.models.probe import TOLERANCE, same

FAR = 1e4
"""Size of what a norm is asked with, so that the small number that it adds to its divisor does not count."""


@dataclass(frozen=True)
class Scaling:
    """What a norm does besides dividing by the size of its input, or a factor that stands in its place."""

    gain: Float[Tensor, " output"]
    centred: bool = False
    norm: bool = True
    """Whether it is a norm's, which also divides by the size of its input."""

    def __call__(self, rows: Float[Tensor, "row output"]) -> Float[Tensor, "row output"]:
        """Rows, centred if the norm centres, times the gain."""
        if not self.centred and bool((self.gain == 1).all()):
            return rows
        return (rows - rows.mean(-1, keepdim=True) if self.centred else rows) * self.gain


def matrix(entering: Tensor | None, leaving: Tensor | None, weights: Iterable[Tensor | None]) -> Tensor | None:
    """The one among some weights, or its transpose, that makes what leaves of what enters, up to a bias; None where no
    one does."""
    if entering is None or leaving is None:
        return None
    for weight in weights:
        if weight is None or weight.ndim != 2:
            continue
        for candidate in (weight.detach(), weight.detach().T):
            if candidate.shape == (entering.shape[-1], leaving.shape[-1]):
                rest = leaving - entering @ candidate
                if same(rest + leaving, rest[:1, :1] + leaving):
                    return candidate
    return None


def scaling_between(before: Tensor | None, after: Tensor | None, norms: Iterable[Any]) -> Scaling | None:
    """What makes the second of the first: a constant factor, or one of the norms; None where nothing known does."""
    if before is None or after is None or before.shape != after.shape:
        return None
    factor = constant_factor(before, after)
    if factor is not None:
        return Scaling(torch.full_like(before[0, 0], factor), norm=False)
    for norm in norms:
        if same(norm(before), after) and (found := scaling_of(norm, before.shape[-1], before.device)) is not None:
            return found
    return None


def constant_factor(before: Tensor, after: Tensor) -> float | None:
    """The number that all numbers of the one are multiplied by; None where there is none."""
    factor = float((before.double() * after.double()).sum() / before.double().square().sum().clamp_min(1e-30))
    factor = 1.0 if abs(factor - 1) < TOLERANCE / 10 else factor
    return factor if factor and same(factor * before, after) else None


def scaling_of(norm: Any, width: int, device: torch.device) -> Scaling | None:
    """Gain and centring of a norm, asked of the norm itself: what it makes of a vector far out, of its negative, and of
    both after a shift. None of what divides by anything but the size of its input."""
    signs = torch.ones(width, device=device)
    signs[1::2] = -1
    if width % 2:
        signs[-3:] = torch.tensor([1.0, 1.0, -2.0], device=device) if width > 1 else 1.0
    size = float(signs.square().mean().sqrt())

    def slope(vector: Tensor) -> Tensor:
        out = norm(torch.stack([vector, -vector])[None] * FAR)[0]
        return (out[0] - out[1]) / 2

    with torch.no_grad():
        straight = slope(signs)
        if not same(slope(2 * signs), straight):
            return None
        shifted = slope(signs + 1)
        gain = straight * size / signs
        if same(shifted, straight):
            return Scaling(gain, centred=True)
        divisor = float((signs + 1).square().mean().sqrt())
        return Scaling(gain) if same(shifted, gain * (signs + 1) / divisor) else None
