"""Numbers that a step tells, of which a card is asked once.

Python waits for every number that it reads from a card, and the card then for Python. So what a step tells stays on the
card, with what is still to be done with it, until `read` asks for all of it together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Reading:
    """A number that follows from some on a card: sums, and products with numbers that Python has."""

    parts: tuple[Float[Tensor, ""], ...]
    of: Callable[..., float]
    """From the parts, in Python's precision."""

    def __add__(self, other: "Scalar") -> "Reading":
        if not isinstance(other, Reading):
            return Reading(self.parts, lambda *parts: self.of(*parts) + other)
        own = len(self.parts)
        return Reading(self.parts + other.parts, lambda *parts: self.of(*parts[:own]) + other.of(*parts[own:]))

    def __mul__(self, factor: float) -> "Reading":
        return Reading(self.parts, lambda *parts: self.of(*parts) * factor)

    def __truediv__(self, divisor: float) -> "Reading":
        return Reading(self.parts, lambda *parts: self.of(*parts) / divisor)

    __radd__ = __add__
    __rmul__ = __mul__


Scalar = float | Reading


def reading(x: Float[Tensor, ""]) -> Scalar:
    """A number of Python; of a tensor on a card one that is still to be read."""
    if x.is_cuda:
        return Reading((x,), float)
    number: float = x.item()
    return number


def read(scalars: Mapping[str, Scalar]) -> dict[str, float]:
    """All numbers by their names, for which Python waits once."""
    parts = [part.double() for scalar in scalars.values() if isinstance(scalar, Reading) for part in scalar.parts]
    numbers = iter(torch.stack(parts).tolist() if parts else [])
    return {
        name: scalar.of(*(next(numbers) for _ in scalar.parts)) if isinstance(scalar, Reading) else scalar
        for name, scalar in scalars.items()
    }
