"""Sparsity penalties, added to the squared error of each token.

`l1` is that of *Towards Monosemanticity* (S1.M1); the others are those of the TinyStories SAEs of document S0: `sqrt`
pays √f below 1 and f above, and the Hoyer terms add (Σf)² / Σf² per token, a smooth count of active features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.entries import Entries, PerEntry
from polysem.saes.readings import Scalar, reading

EPSILON = 1e-9


@dataclass(frozen=True)
class Paid:
    """A penalty and its derivative."""

    mean: Scalar
    """Per-token mean."""
    slope: PerEntry
    """Derivative of a token's penalty by each of its entries, 0 at inactive places."""


Penalty = Callable[[Entries, PerEntry], Paid]
"""From active entries and their sizes to what is paid for them."""


def l1(weight: float) -> Penalty:
    """weight · Σf."""

    def pay(entries: Entries, size: PerEntry) -> Paid:
        slope = torch.full_like(size, weight)
        return Paid(weight * _token_mean(entries, size), entries.where(size > 0, slope))

    return pay


def sqrt(weight: float) -> Penalty:
    """weight · Σ (√f where f < 1, f elsewhere)."""

    def pay(entries: Entries, size: PerEntry) -> Paid:
        root, small = (size + EPSILON).sqrt(), size < 1
        value = entries.where(size > 0, torch.where(small, root, size))
        slope = entries.where(size > 0, torch.where(small, 0.5 / root, 1.0))
        return Paid(weight * _token_mean(entries, value), weight * slope)

    return pay


def hoyer(weight: float) -> Penalty:
    """weight · (Σf)² / Σf² per token."""

    def pay(entries: Entries, size: PerEntry) -> Paid:
        total, square = entries.per_token(size), entries.per_token(size * size) + EPSILON
        ratio = total / square
        # d/df of t²/s with dt = 1 and ds = 2f
        slope = 2 * weight * (entries.of_token(ratio) - entries.of_token(ratio * ratio) * size)
        return Paid(weight * reading((total * ratio).mean()), slope)

    return pay


def both(first: Penalty, second: Penalty) -> Penalty:
    """The sum of two."""

    def pay(entries: Entries, size: PerEntry) -> Paid:
        one, other = first(entries, size), second(entries, size)
        return Paid(one.mean + other.mean, one.slope + other.slope)

    return pay


def _token_mean(entries: Entries, values: PerEntry) -> Scalar:
    total: Float[Tensor, " token"] = entries.per_token(values)
    return reading(total.mean())
