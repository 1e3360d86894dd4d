"""What the ablations of the features of a dictionary do, beside removals of as much along random directions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polysem.interventions.effects import Chunk, Places, Removals
from polysem.tables.passes.ablation.spots import Spots

TOP = 10
"""Tokens on which an effect counts as concentrated, or a tenth of the outcomes where these are fewer."""
HELD = 1 << 26
"""Numbers of the directions, and of the mean effects, of the features that are ablated together: 256 MiB."""
Run = Callable[[Removals], Iterator[Chunk]]


@dataclass(frozen=True)
class Effects:
    """Effects of each feature; NaN where it was not ablated."""

    kl: Float[np.ndarray, "chosen spot"]
    """KL(clean ‖ ablated) of the prediction at the token, in nats."""
    later_kl: Float[np.ndarray, "chosen spot"]
    """The same, summed over the tokens behind."""
    target_change: Float[np.ndarray, "chosen spot"]
    """Change of the log-probability of the next token, in nats."""
    random_kl: Float[np.ndarray, "chosen draw"]
    """KL where as much is taken away along a random direction."""
    paired_kl: Float[np.ndarray, "chosen draw"]
    """KL of the feature at the same token."""
    weight_correlation: Float[np.ndarray, " chosen"]
    """Spearman, over outcomes, of the mean change of the log-probabilities and of what its logit weights predict."""
    direct_share: Float[np.ndarray, " chosen"]
    """Share of the squared change of the centred log-probabilities that lies along its logit weights."""
    concentration: Float[np.ndarray, " chosen"]
    """Share of the absolute mean change, centred, on the outcomes where it is largest."""
    consistency: Float[np.ndarray, " chosen"]
    """Squared norm of the mean change over the mean squared norm of the changes, centred; of two tokens or more."""

    @classmethod
    def joined(cls, parts: list["Effects"]) -> "Effects":
        """Those of several blocks of features, one after the other."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))


def measure_effects(
    run: Run,
    spots: Spots,
    activation: Float[np.ndarray, "chosen spot"],
    decoder: Float[Tensor, "chosen output"],
    weights: Callable[[slice], Float[Tensor, "chosen outcome"] | None],
    outcomes: int,
    draws: int,
    seed: list[int],
) -> Effects:
    """Ablate the features at their tokens, and take as much away along random directions of the norm of their decoder
    rows; draw i of a feature stands at its token i modulo their number. `weights` are logit weights of features.

    An activation times a decoder row is what an ablation takes away, so the comparison is of equal tokens and lengths.
    """
    generator = np.random.default_rng(seed)
    size = max(1, HELD // max(outcomes, draws * decoder.shape[1]))
    parts = []
    for start in range(0, max(1, len(decoder)), size):
        block = slice(start, start + size)
        of_block = weights(block)
        parts.append(_of_block(run, spots, activation, decoder, of_block, block, outcomes, draws, generator))
    return Effects.joined(parts)


def _of_block(
    run: Run,
    spots: Spots,
    activation: Float[np.ndarray, "chosen spot"],
    decoder: Float[Tensor, "chosen output"],
    weights: Float[Tensor, "chosen outcome"] | None,
    block: slice,
    outcomes: int,
    draws: int,
    generator: np.random.Generator,
) -> Effects:
    known, activation, decoder = spots.sequence[block] >= 0, activation[block], decoder[block]
    features = len(known)
    drawn_spot = np.arange(draws) % known.sum(axis=1).clip(min=1)[:, None]
    own, spot = np.nonzero(known)
    of_draw, draw = np.nonzero(np.repeat(known[:, :1], draws, axis=1))
    row = np.concatenate([own, features + of_draw * draws + draw])
    feature = np.concatenate([own, of_draw])
    place = np.concatenate([spot, drawn_spot[of_draw, draw]])
    removals = Removals(
        Places(spots.sequence[block][feature, place], spots.position[block][feature, place]),
        activation[feature, place],
        row,
        torch.cat([decoder, random_directions(decoder, draws, generator)]),
    )
    found = _Sums(features, outcomes, decoder.device)
    kl, later, target = (np.full(len(row), np.nan) for _ in range(3))
    for chunk in run(removals):
        divergence = chunk.divergence().double().cpu().numpy()
        kl[chunk.removals], later[chunk.removals] = divergence[:, 0], divergence[:, 1:].sum(axis=1)
        target[chunk.removals] = chunk.target_change().double().cpu().numpy()
        found.add(chunk, row, weights)
    by_spot = [np.full(known.shape, np.nan) for _ in range(3)]
    for values, of in zip(by_spot, (kl, later, target), strict=True):
        values[own, spot] = of[: len(own)]
    random_kl, paired_kl = (np.full((features, draws), np.nan) for _ in range(2))
    random_kl[of_draw, draw] = kl[len(own) :]
    paired_kl[of_draw, draw] = by_spot[0][of_draw, drawn_spot[of_draw, draw]]
    correlation, direct, concentration, consistency = found.numbers(known.sum(axis=1), weights)
    return Effects(
        by_spot[0],
        by_spot[1],
        by_spot[2],
        random_kl,
        paired_kl,
        correlation,
        direct,
        concentration,
        consistency,
    )


def random_directions(
    decoder: Float[Tensor, "chosen output"], draws: int, generator: np.random.Generator
) -> Float[Tensor, "random output"]:
    """`draws` directions for each decoder row, one after the other: of its norm, in any direction alike."""
    drawn = generator.standard_normal((len(decoder), draws, decoder.shape[1]), dtype=np.float32)
    found = torch.from_numpy(drawn).to(decoder.device)
    found *= decoder.norm(dim=1)[:, None, None] / found.norm(dim=2, keepdim=True)
    return found.flatten(0, 1)


class _Sums:
    """Changes of centred log-probabilities at the tokens where features are ablated, added up."""

    def __init__(self, features: int, outcomes: int, device: torch.device) -> None:
        self._change = torch.zeros(features, outcomes, device=device)
        self._squares, self._along = (torch.zeros(features, device=device) for _ in range(2))

    def add(self, chunk: Chunk, row: Int[np.ndarray, " removal"], weights: Tensor | None) -> None:
        """Take those removals of a chunk that are ablations: their direction is one of the first rows."""
        feature = row[chunk.removals]
        mine = np.flatnonzero(feature < len(self._change))
        if not len(mine):
            return
        of = torch.from_numpy(feature[mine]).to(self._change.device)
        change = centred(chunk.edited[mine, 0] - chunk.clean[mine, 0])
        self._change.index_add_(0, of, change)
        self._squares.index_add_(0, of, change.square().sum(dim=1))
        if weights is not None:
            unit = torch.nn.functional.normalize(centred(weights[of.to(weights.device)]), dim=1).to(change.device)
            self._along.index_add_(0, of, torch.linalg.vecdot(change, unit).square())

    def numbers(
        self, tokens: Int[np.ndarray, " chosen"], weights: Tensor | None
    ) -> tuple[Float[np.ndarray, " chosen"], ...]:
        """Correlation with the logit weights, direct share, concentration and consistency; NaN where there is no
        change, and no token or, of the last, fewer than two."""
        squares, along = self._squares.double().cpu().numpy(), self._along.double().cpu().numpy()
        none = np.full(len(squares), np.nan)
        correlation, direct = none, none
        if weights is not None:
            correlation = rank_correlation(self._change, -weights.to(self._change.device))
            direct = _ratio(along, squares).clip(max=1)
        size = self._change.abs()
        top = concentrated_on(size.shape[1])
        concentration = _ratio(*(part.sum(dim=1).double().cpu().numpy() for part in (size.topk(top).values, size)))
        mean = self._change.double().square().sum(dim=1).cpu().numpy()
        consistency = _ratio(mean, np.where(tokens > 1, tokens * squares, 0))
        return correlation, direct, concentration, consistency


def concentrated_on(outcomes: int) -> int:
    """On how many of these an effect counts as concentrated."""
    return max(1, min(TOP, outcomes // 10))


def centred(values: Float[Tensor, "row outcome"]) -> Float[Tensor, "row outcome"]:
    """With mean 0 over the outcomes, as a shift of all logits changes nothing."""
    return values - values.mean(dim=1, keepdim=True)


def rank_correlation(a: Float[Tensor, "row outcome"], b: Float[Tensor, "row outcome"]) -> Float[np.ndarray, " row"]:
    """Spearman's correlation of each row of both, with equal values in the order of the outcomes; NaN for a row in
    which all are equal."""
    constant = ((a == a[:, :1]).all(dim=1) | (b == b[:, :1]).all(dim=1)).cpu().numpy()
    outcomes = a.shape[1]
    difference = (_ranks(a) - _ranks(b)).double().square().sum(dim=1).cpu().numpy()
    return np.where(constant, np.nan, 1 - 6 * difference / (outcomes * (outcomes**2 - 1)))


def _ranks(values: Float[Tensor, "row outcome"]) -> Int[Tensor, "row outcome"]:
    order = (
        values.argsort(dim=1, stable=True)
        if values.is_cuda
        else torch.from_numpy(np.argsort(values.numpy(), axis=1, kind="stable"))
    )
    return torch.empty_like(order).scatter_(
        1, order, torch.arange(values.shape[1], device=order.device).expand_as(order)
    )


def _ratio(part: Float[np.ndarray, " row"], whole: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
