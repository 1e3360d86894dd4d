"""Which entries of a batch are active, found without keeping its pre-activations.

The search needs the dense product x W_encᵀ, block by block. Where few features are active it takes the product that is
fastest on this machine (`polysem.saes.products`): entries that come within its margin of being active are scored again
by inner products in float32, which decide, so the result has the same bytes whichever product was taken
(`docs/performance.md` has the measurements). Where many are active, the whole batch is kept as a matrix. A GPU makes
all pre-activations by a product in bfloat16 that is added up in float32, and nothing is scored again.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polysem.saes.entries import DenseEntries, Entries, SparseEntries, product
from polysem.saes.products import FLOAT32, Product, fastest

BLOCK = 1 << 22
"""Pre-activations of a block, at most: 16 MiB."""
ROWS_PER_BLOCK = 256
"""Tokens of a block that is not scored again."""
DENSE_ABOVE = 0.14
"""Share of active entries above which matrices are faster than lists, measured on a CPU."""
DENSE_ABOVE_ON_GPU = 0.01
"""The same on a GPU, an H200, where a list saves passes over matrices and costs sorting."""
SCORED_AGAIN_BELOW = 0.05
"""Share of active entries below which it pays to search with the fastest product and to score again: above it, scoring
takes a third of the time of the float32 product or more."""
GROUP = 16
"""Features per group in the search for the largest: the k-th largest maximum of the groups bounds the k-th largest
entry from below."""


class InsufficientError(Exception):
    """A guess or a margin was too narrow: active entries of some tokens may be missing among the candidates."""

    def __init__(self, tokens: Int[Tensor, " token"]) -> None:
        super().__init__()
        self.tokens = tokens


class Rule(Protocol):
    """What makes an entry active; active entries are above 0."""

    @property
    def floor(self) -> Float[Tensor, " feature"] | None:
        """Pre-activations at or below it are not active; None for 0."""

    rows_seen: ClassVar[int]
    """Number of rows that `share` and `guessed` need to see."""

    def share(self, above: Float[Tensor, "row feature"]) -> float:
        """Share of active entries, from some rows of pre-activations less the floor."""

    def guessed(self, above: Float[Tensor, "row feature"]) -> "Rule":
        """The rule with what it may guess from some rows to narrow the search."""

    def exhaustive(self) -> "Rule":
        """The rule without guesses."""

    def bound(self, pre: Tensor) -> Float[Tensor, "row_or_1 1"]:
        """For each row of a block, or for all, a value that its active entries are expected to reach; 0 or more."""

    def trimmed(self, entries: SparseEntries, bound: Float[Tensor, " token"]) -> SparseEntries:
        """The active ones among candidates that hold all entries above a bound of each token; InsufficientError if
        active ones may be missing."""

    def mask(self, pre: Float[Tensor, "token feature"]) -> Bool[Tensor, "token feature"]:
        """The active entries of a whole batch of pre-activations."""


def active_entries(
    x: Float[Tensor, "token neuron"],
    W_enc: Float[Tensor, "feature neuron"],
    bias: Float[Tensor, " feature"],
    rule: Rule,
) -> Entries:
    """The active entries of x W_encᵀ + bias with their pre-activations as values."""
    above = _above_floor(x, W_enc, bias, rule)
    share = rule.share(above)
    if x.is_cuda:
        return _entries_on_gpu(x, W_enc, bias, rule, share)
    if share > DENSE_ABOVE:
        return masked_matrix(x, W_enc, bias, rule, torch.float32)
    return _listed(x, W_enc, bias, rule.guessed(above), share)


def listed_entries(
    x: Float[Tensor, "token neuron"],
    W_enc: Float[Tensor, "feature neuron"],
    bias: Float[Tensor, " feature"],
    rule: Rule,
) -> SparseEntries:
    """`active_entries` as a list, however many there are; on a CPU. No matrix grows with the tokens."""
    above = _above_floor(x, W_enc, bias, rule)
    return _listed(x, W_enc, bias, rule.guessed(above), rule.share(above))


def _above_floor(x: Tensor, W_enc: Tensor, bias: Tensor, rule: Rule) -> Tensor:
    pre = torch.addmm(bias, x[: rule.rows_seen], W_enc.T)
    return pre if rule.floor is None else pre - rule.floor


def _listed(x: Tensor, W_enc: Tensor, bias: Tensor, guessed: Rule, share: float) -> SparseEntries:
    few = share < SCORED_AGAIN_BELOW
    candidates, bound = (
        _scored_again(x, W_enc, bias, guessed, fastest()) if few else _scored_once(x, W_enc, bias, guessed)
    )
    try:
        return guessed.trimmed(candidates, bound)
    except InsufficientError as error:
        again = error.tokens
    exact = guessed.exhaustive()
    batch = (x[again], W_enc, bias, exact)
    entries = exact.trimmed(*(_scored_again(*batch, FLOAT32, sure=True) if few else _scored_once(*batch)))
    if len(again) == len(x):
        return entries
    known = torch.ones(len(x), dtype=torch.bool)
    known[again] = False
    sure = guessed.trimmed(candidates.keep(known[candidates.row]), torch.where(known, bound, 0.0))
    return sure.joined(again[entries.row], entries)


def masked_matrix(x: Tensor, W_enc: Tensor, bias: Tensor, rule: Rule, precision: torch.dtype) -> DenseEntries:
    """The active entries as a matrix; products in `precision`, which is bfloat16 on a GPU."""
    pre = _rounded(x, W_enc, bias) if precision == torch.bfloat16 else (x @ W_enc.T).add_(bias)
    return DenseEntries(rule.mask(pre), pre, precision)


def _rounded(x: Tensor, W_enc: Tensor, bias: Tensor) -> Float[Tensor, "token feature"]:
    """x W_encᵀ + bias of numbers in bfloat16. To add the bias afterwards would take half as long as the product: two
    more neurons that are always 1 bring its leading and its remaining digits along; six of 0 keep the rows aligned."""
    leading = bias.bfloat16()
    digits = torch.stack([leading, (bias - leading).bfloat16()], dim=1)
    ones = torch.ones(len(x), 2, dtype=torch.bfloat16, device=x.device)
    left, right = (
        torch.cat([most.bfloat16(), F.pad(more, (0, 6))], dim=1) for most, more in ((x, ones), (W_enc, digits))
    )
    return product(left, right.T, torch.bfloat16, bias.dtype)


def _entries_on_gpu(x: Tensor, W_enc: Tensor, bias: Tensor, rule: Rule, share: float) -> Entries:
    if share > DENSE_ABOVE_ON_GPU:
        return masked_matrix(x, W_enc, bias, rule, torch.bfloat16)
    pre = _rounded(x, W_enc, bias)
    row, feature = torch.nonzero(rule.mask(pre), as_tuple=True)
    return SparseEntries(row, feature, pre[row, feature], (len(x), len(W_enc)))


def _scored_once(x: Tensor, W_enc: Tensor, bias: Tensor, rule: Rule) -> tuple[SparseEntries, Tensor]:
    """All entries above the rule's floor and bound, by a search in float32; and the bound of each token."""
    shifted = bias if rule.floor is None else bias - rule.floor
    found, values, bounds = [], [], []
    for start in range(0, len(x), ROWS_PER_BLOCK):
        pre = torch.addmm(shifted, x[start : start + ROWS_PER_BLOCK], W_enc.T)
        bound = rule.bound(pre).expand(len(pre), 1)
        below = np.nextafter(bound.numpy(), np.float32(-np.inf)).clip(0)
        hit = torch.from_numpy(np.flatnonzero(pre.numpy() > below))
        values.append(pre.view(-1)[hit])
        found.append(hit.add_(start * len(W_enc)))
        bounds.append(bound.view(-1))
    row, feature = _places(torch.cat(found), len(W_enc))
    value = torch.cat(values)
    if rule.floor is not None:
        value += rule.floor[feature]
    return SparseEntries(row, feature, value, (len(x), len(W_enc))), torch.cat(bounds)


def _scored_again(
    x: Tensor, W_enc: Tensor, bias: Tensor, rule: Rule, product: Product, sure: bool = False
) -> tuple[SparseEntries, Tensor]:
    """All entries above the rule's floor and bound, by a search with a product; and the bound of each token.

    Pre-activations are raised by a margin of each feature, so that what is found is never below what it is; the bound
    of a token is lowered by twice the typical margin, or by twice the largest one to be `sure` that it is not too high.
    Numbers above 0 are ordered like their bits, and integers are compared faster.
    """
    shifted = bias if rule.floor is None else bias - rule.floor
    operand = W_enc.to(product.dtype)
    unit = product.error(W_enc)
    typical = unit.max() if sure else unit.median()
    rounding = product.rounding
    rows = min(product.rows, max(64, BLOCK // len(W_enc)))
    found, bounds = [], []
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        size = block.norm(dim=1).max()
        raised = (shifted + size * unit + rounding * shifted.abs()) * (1 + rounding * shifted.sign())
        pre = product.of(block.to(product.dtype), operand, raised.to(product.dtype))
        bound = (rule.bound(pre) - 2 * size * typical).mul_(1 - 4 * rounding).clamp_(min=0).to(product.dtype)
        below = (bound.view(product.bits) - 1).clamp_(min=0).numpy()
        hit = torch.from_numpy(np.flatnonzero(pre.view(product.bits).numpy() > below))
        found.append(hit.add_(start * len(W_enc)))
        bounds.append((bound.float() * (1 + 2 * rounding)).expand(len(pre), 1).reshape(-1))
    row, feature = _places(torch.cat(found), len(W_enc))
    entries = SparseEntries(row, feature, torch.empty(0), (len(x), len(W_enc)))
    entries.value = entries.dots(x, W_enc).add_(bias[feature])
    active = entries.value > (0 if rule.floor is None else rule.floor[feature])
    return entries if bool(active.all()) else entries.keep(active), torch.cat(bounds)


def _places(flat: Tensor, features: int) -> tuple[Tensor, Tensor]:
    row = flat.div(features, rounding_mode="floor")
    return row, flat - row * features


@dataclass(frozen=True)
class Above:
    """All entries above a floor of each feature, which is at least 0."""

    floor: Float[Tensor, " feature"] | None = None
    rows_seen: ClassVar[int] = 32

    def share(self, above: Float[Tensor, "row feature"]) -> float:
        """See `Rule.share`."""
        return float((above > 0).float().mean())

    def guessed(self, above: Float[Tensor, "row feature"]) -> "Above":
        """Nothing to guess."""
        return self

    def exhaustive(self) -> "Above":
        """The same."""
        return self

    def bound(self, pre: Tensor) -> Float[Tensor, "row_or_1 1"]:
        """0."""
        return torch.zeros(1, 1)

    def trimmed(self, entries: SparseEntries, bound: Float[Tensor, " token"]) -> SparseEntries:
        """All candidates."""
        return entries

    def mask(self, pre: Float[Tensor, "token feature"]) -> Bool[Tensor, "token feature"]:
        """Above the floor."""
        return pre > (0 if self.floor is None else self.floor)


@dataclass(frozen=True)
class Largest:
    """The k largest entries of each token, where they are above 0."""

    k: int
    floor: None = None
    rows_seen: ClassVar[int] = 0

    def share(self, above: Float[Tensor, "row feature"]) -> float:
        """k of all features."""
        return min(1.0, self.k / above.shape[1])

    def guessed(self, above: Float[Tensor, "row feature"]) -> "Largest":
        """Nothing to guess."""
        return self

    def exhaustive(self) -> "Largest":
        """The same."""
        return self

    def bound(self, pre: Tensor) -> Float[Tensor, "row_or_1 1"]:
        """The k-th largest of the maxima of groups of features: at least k entries reach it."""
        rows, features = pre.shape
        groups = features // GROUP
        if groups < self.k:
            return torch.zeros(1, 1)
        bits = pre.view(torch.int16) if pre.dtype == torch.bfloat16 else pre
        maxima = bits[:, : groups * GROUP].view(rows, GROUP, groups).amax(1).numpy()
        kth = torch.from_numpy(np.partition(maxima, groups - self.k, axis=1)[:, groups - self.k, None])
        return kth.view(pre.dtype).float().clamp(min=0)

    def trimmed(self, entries: SparseEntries, bound: Float[Tensor, " token"]) -> SparseEntries:
        """The k largest candidates of each token, if all of them are above its bound; of equal ones the first."""
        place = torch.arange(len(entries.row)) - entries.row_starts[entries.row]
        width = int(place.max()) + 1 if len(place) else 0
        values = torch.full((entries.tokens, max(width, self.k)), -torch.inf)
        values[entries.row, place] = entries.value
        least = values.topk(self.k, dim=1, sorted=False).values.amin(1)
        doubtful = torch.nonzero((bound > 0) & (least < bound)).view(-1)
        if len(doubtful):
            raise InsufficientError(doubtful)
        if width <= self.k:
            return entries
        chosen = values >= least[:, None]
        crowded = torch.nonzero(chosen.sum(1) > self.k).view(-1)
        first = values[crowded].argsort(dim=1, descending=True, stable=True)[:, : self.k]
        chosen[crowded] = torch.zeros_like(chosen[crowded]).scatter_(1, first, True)
        return entries.keep(chosen[entries.row, place])

    def mask(self, pre: Float[Tensor, "token feature"]) -> Bool[Tensor, "token feature"]:
        """The k largest of each row where they are above 0."""
        kept = _places_of_largest(pre, min(self.k, pre.shape[1]))
        return torch.zeros_like(pre, dtype=torch.bool).scatter_(1, kept, True) & (pre > 0)


def _places_of_largest(pre: Float[Tensor, "token feature"], k: int) -> Int[Tensor, "token k"]:
    """The features of the k largest entries of each row. They lie in the k groups with the largest maxima, so that of
    many features only these are sorted."""
    rows, features = pre.shape
    groups = features // GROUP
    if groups < 2 * k or features % GROUP:
        return pre.topk(k, dim=1, sorted=False).indices
    grouped = pre.view(rows, GROUP, groups)
    chosen = grouped.amax(1).topk(k, dim=1, sorted=False).indices
    candidates = grouped.gather(2, chosen[:, None].expand(rows, GROUP, k)).flatten(1)
    place = candidates.topk(k, dim=1, sorted=False).indices
    return place.div(k, rounding_mode="floor") * groups + chosen.gather(1, place % k)


@dataclass(frozen=True)
class LargestOfBatch:
    """The k · tokens largest entries of a batch, where they are above 0."""

    k: int
    assumed: float = 0.0
    """A value that all of them are assumed to reach."""
    floor: None = None
    rows_seen: ClassVar[int] = 256

    def share(self, above: Float[Tensor, "row feature"]) -> float:
        """k of all features."""
        return min(1.0, self.k / above.shape[1])

    def guessed(self, above: Float[Tensor, "row feature"]) -> "LargestOfBatch":
        """In the rows seen, half as many again as are wanted reach the value that is assumed."""
        wanted = int(1.5 * self.k * len(above)) + 64
        if wanted >= above.numel():
            return self
        values = above.reshape(-1).numpy()
        return LargestOfBatch(self.k, max(0.0, float(np.partition(values, -wanted)[-wanted])))

    def exhaustive(self) -> "LargestOfBatch":
        """Nothing assumed."""
        return LargestOfBatch(self.k)

    def bound(self, pre: Tensor) -> Float[Tensor, "row_or_1 1"]:
        """What is assumed."""
        return torch.full((1, 1), self.assumed)

    def trimmed(self, entries: SparseEntries, bound: Float[Tensor, " token"]) -> SparseEntries:
        """The largest candidates, if at least as many as are wanted reach what is assumed."""
        wanted = self.k * entries.tokens
        value = entries.value
        if self.assumed and int((value >= self.assumed).sum()) < wanted:
            raise InsufficientError(torch.arange(entries.tokens))
        if len(value) <= wanted:
            return entries
        return entries.keep(value > np.partition(value.numpy(), -wanted - 1)[-wanted - 1])

    def mask(self, pre: Float[Tensor, "token feature"]) -> Bool[Tensor, "token feature"]:
        """The largest of all rows where they are above 0."""
        wanted = self.k * len(pre)
        if wanted >= pre.numel():
            return pre > 0
        least = pre.reshape(-1).topk(wanted + 1, sorted=False).values.min().clamp(min=0)
        return pre > least
