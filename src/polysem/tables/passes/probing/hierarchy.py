"""Tags that imply others, and what becomes of the features of the implied ones: missed, absorbed, split.

Absorption (Chanin et al. 2024, *A is for Absorption*, arXiv 2409.14507; Karvonen et al. 2025, *SAEBench*, arXiv
2503.09532) is asked there of first letters of words and of the words themselves. Where tags are known, a tag that
another one implies takes the place of the letter. Which tags imply others is told by the tokens of half A alone; all
shares are of half B.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.numerics.resampling import intervals_of_ratios
from polysem.tables.passes.probing.columns import FeatureColumns
from polysem.tables.passes.probing.tokens import LEAST, ProbedTokens

IMPLIED = 0.99
"""Share of the tokens with a tag (half A) that carry another one, from which on it implies that."""
QUANTILE = 0.95
"""Of the cosines of all decoder rows with a direction: a row that is above it points along the direction."""
SPLIT = 0.03
"""F1 by which fewer features may miss that of the most and still count as good as these (SAEBench)."""
BLOCK = 8192
"""Tokens whose tags are counted together at once."""
Active = Mapping[int, Int[np.ndarray, " row"]]
"""By feature the places of the tokens on which it is active."""


@dataclass(frozen=True)
class Pairs:
    """Tags, by their numbers, of which one implies the other."""

    child: Int[np.ndarray, " pair"]
    parent: Int[np.ndarray, " pair"]
    """The tag that the child implies."""

    @property
    def pairs(self) -> int:
        """How many there are."""
        return len(self.child)


@dataclass(frozen=True)
class Shares:
    """Shares of tokens of half B with the ends of their 95 % bootstrap intervals over sequences."""

    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def named(self, name: str) -> dict[str, NDArray[np.float64]]:
        """The shares under a name, and the ends under that with `_low` and `_high` behind."""
        return {name: self.share, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class Missed:
    """Over pairs, how often the main feature of the parent is off; NaN where the parent has none."""

    tokens_with_child: Int[np.ndarray, " pair"]
    """Tokens of half B with child and parent."""
    tokens_elsewhere: Int[np.ndarray, " pair"]
    """Those with the parent and without the child."""
    with_child: Shares
    elsewhere: Shares
    absorbed: Shares
    """Share of the tokens with child and parent on which it is off, and the child's main feature is on in its place."""


def implying_pairs(tokens: ProbedTokens, probed: Bool[np.ndarray, " tag"], least: int = LEAST) -> Pairs:
    """The pairs of probed tags of which one implies the other with no third one in between, by parent and then child.

    A child implies a parent that at least `IMPLIED` of its tokens of half A carry, unless the parent implies it, too,
    or has fewer than `least` tokens without it in one of the halves. A tag that as many of all tokens carry is no
    parent: any tag would imply it.
    """
    choosing, later = (together(tokens.carried[half]) for half in (~tokens.held_out, tokens.held_out))
    share = choosing / np.maximum(np.diag(choosing), 1)[:, None]
    implied = (share >= IMPLIED) & (np.diag(choosing) < IMPLIED * (~tokens.held_out).sum())
    enough = np.ones_like(implied)
    for both in (choosing, later):
        enough &= np.diag(both)[None, :] - both >= least
    implied &= ~implied.T & enough & probed[:, None] & probed[None, :]
    between = implied.astype(np.int64) @ implied.astype(np.int64) > 0
    parent, child = np.nonzero((implied & ~between).T)
    return Pairs(child, parent)


def together(carried: Bool[np.ndarray, "token tag"]) -> Int[np.ndarray, "tag tag"]:
    """How many tokens carry both of two tags."""
    found = np.zeros(2 * carried.shape[1:], np.int64)
    for start in range(0, len(carried), BLOCK):
        block = carried[start : start + BLOCK].astype(np.float32)
        found += (block.T @ block).astype(np.int64)
    return found


def main_features(differences: Float[np.ndarray, "feature tag"]) -> Int[np.ndarray, " tag"]:
    """The feature of each tag whose mean activation is most above that of tokens without the tag (half A), the lower
    one among equals; −1 where none is above it. Features that are on where the tag is not tell it, too, and are none.
    """
    above = np.nan_to_num(differences)
    return np.where(above.max(0) > 0, above.argmax(0), -1)


def active_tokens(columns: FeatureColumns, features: Int[np.ndarray, " some"]) -> Active:
    """Where some features are active; −1 stands for none."""
    shown = np.unique(features[features >= 0])
    columns.look(shown)
    return {feature: columns.of(np.array([feature])).place for feature in shown.tolist()}


def cosines(
    decoder: Float[np.ndarray, "feature neuron"], direction: Float[np.ndarray, "pair neuron"]
) -> Float[np.ndarray, "pair feature"]:
    """Cosines of decoder rows with directions; NaN for a row of zeros, and for a direction of zeros or of NaN."""
    norms = np.linalg.norm(direction, axis=1)[:, None] * np.linalg.norm(decoder, axis=1)
    with np.errstate(invalid="ignore"):
        products = np.asarray(direction @ decoder.T, np.float64)
    return np.divide(products, norms, out=np.full(products.shape, np.nan), where=norms > 0)


def cosine_limits(cosine: Float[np.ndarray, "pair feature"]) -> Float[np.ndarray, " pair"]:
    """Above which cosine a decoder row points along each direction: the quantile `QUANTILE` of those that are known;
    NaN where none is."""
    known = np.isfinite(cosine)
    return np.array(
        [np.quantile(row[is_known], QUANTILE) if is_known.any() else np.nan
         for row, is_known in zip(cosine, known, strict=True)], np.float64
    )  # fmt: skip


def missed(
    tokens: ProbedTokens,
    pairs: Pairs,
    main: Int[np.ndarray, " tag"],
    active: Active,
    cosine: Float[np.ndarray, " pair"],
    limit: Float[np.ndarray, " pair"],
    seed: int,
) -> Missed:
    """How often the main feature of each parent is off on tokens of half B, with the child and without it, and how
    often the child's is on in its place and points along the parent: its `cosine` is above the `limit`. Nothing is
    absorbed by a feature without a cosine, and without a limit the share is NaN."""
    counts = np.zeros((5, pairs.pairs, tokens.units), np.int64)
    for pair, masks in enumerate(_masks(tokens, pairs, main, active)):
        counts[:, pair] = [tokens.by_unit(np.flatnonzero(mask)) for mask in masks]
    with_child, elsewhere, missed_with_child, missed_elsewhere, replaced = counts
    told = main[pairs.parent] >= 0
    with np.errstate(invalid="ignore"):
        can_absorb = (cosine > limit) & (main[pairs.child] != main[pairs.parent])
    replaced = np.where(can_absorb[:, None], replaced, 0)
    return Missed(
        with_child.sum(-1),
        elsewhere.sum(-1),
        _shares(missed_with_child, with_child, told, seed),
        _shares(missed_elsewhere, elsewhere, told, seed),
        _shares(replaced, with_child, told & np.isfinite(limit), seed),
    )


def _masks(
    tokens: ProbedTokens, pairs: Pairs, main: Int[np.ndarray, " tag"], active: Active
) -> Iterator[tuple[Bool[np.ndarray, " token"], ...]]:
    """Of each pair the tokens of half B with child and parent, those with the parent alone, those of each on which the
    parent's main feature is off, and those of the first on which the child's is on instead."""
    for child, parent in zip(pairs.child.tolist(), pairs.parent.tolist(), strict=True):
        with_parent = tokens.carried[:, parent] & tokens.held_out
        with_child = with_parent & tokens.carried[:, child]
        elsewhere = with_parent & ~with_child
        off = ~_on(tokens, main[[parent]], active)
        yield (
            with_child,
            elsewhere,
            with_child & off,
            elsewhere & off,
            with_child & off & _on(tokens, main[[child]], active),
        )


def _on(tokens: ProbedTokens, features: Int[np.ndarray, " some"], active: Active) -> Bool[np.ndarray, " token"]:
    """Whether any of some features is active on each token; −1 stands for none."""
    found = np.zeros(len(tokens.carried), np.bool_)
    for feature in features[features >= 0].tolist():
        found[active[feature]] = True
    return found


def _shares(
    part: Int[np.ndarray, "row unit"], whole: Int[np.ndarray, "row unit"], told: Bool[np.ndarray, " row"], seed: int
) -> Shares:
    """Ratios of sums over units, with intervals; NaN where they are not told, and where the whole is 0."""
    low, high = intervals_of_ratios(part, whole, seed)
    above, below = part.sum(-1).astype(np.float64), whole.sum(-1)
    share = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return Shares(*(np.where(told, values, np.nan) for values in (share, low, high)))


def split_features(
    f1: Float[np.ndarray, "tag k"], counts: Int[np.ndarray, " k"], parents: Bool[np.ndarray, " tag"]
) -> Int[np.ndarray, " tag"]:
    """The fewest features, of `counts`, whose F1 is at most `SPLIT` below that of the most; −1 for a tag that is no
    parent."""
    with np.errstate(invalid="ignore"):
        near = f1 >= f1[:, -1:] - SPLIT
    return np.where(parents, counts[near.argmax(1)], -1)


def detectors(
    tokens: ProbedTokens, pairs: Pairs, main: Int[np.ndarray, " tag"], active: Active, seed: int
) -> tuple[Shares, Shares]:
    """F1 on half B, over tags, of "the main feature is on" and of "that of any child is on"; NaN for a tag that is no
    parent, 0 where there is no such feature."""
    tags = tokens.carried.shape[1]
    right, whole = (np.zeros((2, tags, tokens.units), np.int64) for _ in range(2))
    parents = np.bincount(pairs.parent, minlength=tags) > 0
    for tag in np.flatnonzero(parents).tolist():
        for row, features in enumerate((main[[tag]], np.unique(main[pairs.child[pairs.parent == tag]]))):
            on = _on(tokens, features, active) & tokens.held_out
            right[row, tag] = tokens.by_unit(np.flatnonzero(on & tokens.carried[:, tag]))
            whole[row, tag] = tokens.by_unit(np.flatnonzero(on)) + tokens.by_unit(tag=tag)
    own, of_children = (_shares(2 * right[row], whole[row], parents, seed) for row in range(2))
    return own, of_children
