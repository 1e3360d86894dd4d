"""Which tokens are left out at a site: those with massive activations, or the first of each sequence.

In many language models a few tokens, most often the first of a sequence, carry activations whose norm is a hundred
times that of the others, whatever they say (Sun et al. 2024, arXiv 2402.17762). They hold nearly all of the variance,
so that a dictionary which is trained on them learns them and little else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from polysem.activations.sequences import sequences_at_once
from polysem.io.errors import InputError
from polysem.io.stores import read_receipt
from polysem.models.batches import TokenStore
from polysem.models.subject import Subject
from polysem.params.base import LeaveOut

TIMES = 10
"""A token is massive if the norm of its activations is above so many times the median norm."""
MEASURED = 16_384
"""Tokens of which that median is: the first train tokens that count."""


@dataclass(frozen=True)
class LeftOut:
    """The rule of one site, as the receipts of its stores record it."""

    how: LeaveOut
    median_norm: float
    """Median norm of the activations of the first train tokens."""
    measured: int
    """Number of these tokens."""

    @property
    def above(self) -> float:
        """The norm above which a token is massive; infinite where most activations are all zeros, as nothing is large
        beside these."""
        return TIMES * self.median_norm if self.median_norm else math.inf

    def massive(self, x: Float[Tensor, "... neuron"]) -> Bool[Tensor, "..."]:
        """Which tokens are massive, by their activations at the site, whatever is left out."""
        return norms(x) > self.above

    def of(self, x: Float[Tensor, "sequence position neuron"]) -> Bool[Tensor, "sequence position"]:
        """Which tokens of whole sequences are left out, by the model's own activations at the site."""
        return self.at(x, torch.arange(x.shape[1], device=x.device).expand(x.shape[:2]))

    def at(self, x: Float[Tensor, "... neuron"], position: Int[Tensor, "..."]) -> Bool[Tensor, "..."]:
        """Which tokens are left out, by the model's own activations at the site and their positions in the sequence."""
        match self.how:
            case "massive":
                return self.massive(x)
            case "first":
                return position.to(x.device) == 0
            case "none":
                return torch.zeros(x.shape[:-1], dtype=torch.bool, device=x.device)

    def values(self) -> dict[str, Any]:
        """As plain JSON types, for receipts."""
        return {"how": self.how, "median_norm": self.median_norm, "measured": self.measured}


NOTHING = LeftOut("none", 0.0, 0)
"""The rule of stores from before there was one, and of those that are written by hand: nothing is left out."""


def norms(x: Float[Tensor, "... neuron"]) -> Float[Tensor, "..."]:
    """Norms of activations, in float32."""
    return x.float().norm(dim=-1)


def left_out_at(subject: Subject, train_tokens: TokenStore, sites: Sequence[str], how: LeaveOut) -> dict[str, LeftOut]:
    """The rules of sites, by one pass over the first train tokens. That of a site is a function of the model and its
    train tokens alone, so that whoever asks gets the same one.

    Raises InputError if no train token counts.
    """
    found: dict[str, list[NDArray[np.float32]]] = {site: [] for site in sites}
    count = 0
    with torch.inference_mode():
        for batch in train_tokens.batches(sequences_at_once(train_tokens, subject.device)):
            subject.visit(batch, sites, partial(_measure, found, batch.counted))
            count += int(batch.counted.sum())
            if count >= MEASURED:
                break
    if not count:
        raise InputError("no position of the train tokens counts: they hold only padding and masked tokens")
    first = {site: np.concatenate(parts)[:MEASURED].astype(np.float64) for site, parts in found.items()}
    return {site: LeftOut(how, float(np.median(values)), len(values)) for site, values in first.items()}


def _measure(
    found: dict[str, list[NDArray[np.float32]]],
    counted: Bool[Tensor, "sequence position"],
    site: str,
    x: Float[Tensor, "sequence position neuron"],
    _: object,
) -> None:
    found[site].append(norms(x[counted.to(x.device)]).cpu().numpy())


def recorded_left_out(store: Path) -> LeftOut:
    """The rule under which an activation store was made; InputError if its receipt cannot be read."""
    found = read_receipt(store)["params"].get("left_out")
    if found is None:
        return NOTHING
    return LeftOut(found["how"], found["median_norm"], found["measured"])
