"""Probes of tags: on the few features that differ most, and on all activations of a site.

Sparse probing (Gurnee et al. 2023, *Finding Neurons in a Haystack*, arXiv 2305.01610; Karvonen et al. 2025, *SAEBench*,
arXiv 2503.09532): the k features with the largest difference of means between tokens with a tag and without it, then a
logistic regression on those. Features are chosen, probes fitted and thresholds set on half A, all scores are of half B.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.numerics.logistic import Logistic, fit
from polysem.numerics.resampling import intervals_of_ratios
from polysem.tables.passes.probing.columns import Active, Columns
from polysem.tables.passes.probing.judged import Judged, Scored, judged
from polysem.tables.passes.probing.tokens import ProbedTokens

FEATURES = (1, 2, 4, 8)
"""Features of a sparse probe, at most: so many, or as many as differ at all."""
PENALTY = 1e-3
"""Of the squared weights of columns with a standard deviation of 1."""


@dataclass(frozen=True)
class Scores:
    """Over tags, and along the probes of each; NaN for tags that are not probed."""

    f1: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """Ends of the 95 % bootstrap interval of F1 over sequences."""
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    auroc: NDArray[np.float64]


def largest_differences(
    differences: Float[np.ndarray, "feature tag"], most: int = FEATURES[-1]
) -> Int[np.ndarray, "tag rank"]:
    """For each tag the features whose means differ most, in whichever direction, the lower one first among equals; −1
    where no further one differs."""
    size = np.abs(np.nan_to_num(differences))
    order = np.argsort(-size, axis=0, kind="stable")[:most]
    found = np.full((differences.shape[1], most), -1, np.int64)
    found[:, : len(order)] = np.where(np.take_along_axis(size, order, axis=0) > 0, order, -1).T
    return found


def sparse_scores(
    columns: Columns,
    chosen: Int[np.ndarray, "tag rank"],
    tokens: ProbedTokens,
    probed: Bool[np.ndarray, " tag"],
    seed: int,
) -> Scores:
    """Scores of the probes on the first of the chosen features of each tag, [tag, probe] along `FEATURES`. A tag of
    which no feature differs has an F1 of 0 and an AUROC of 0.5: all tokens are alike, and none is told."""
    columns.look(np.unique(chosen[chosen >= 0]))
    found = [
        [*_sparse(columns.of(chosen[tag][chosen[tag] >= 0]), tag, tokens)] for tag in np.flatnonzero(probed).tolist()
    ]
    return _scores(found, tokens, probed, (len(FEATURES),), seed)


def _sparse(active: Active, tag: int, tokens: ProbedTokens) -> Iterator[Judged]:
    """The probes on the first one, two, four and eight of the columns."""
    there, found = active.x.shape[1], None
    for count in FEATURES:
        if not there:
            found = Judged(0.5, *2 * [np.zeros(tokens.units, np.int64)])
        elif found is None or count // 2 < there:
            own = active.x[:, :count]
            probe = fit(*_together(active.place, own, tag, tokens), PENALTY)
            found = judged(Scored(active.place, probe.log_odds(own)[:, 0], float(probe.bias[0])), tag, tokens)
        yield found


def _together(
    place: Int[np.ndarray, " row"], x: Float[np.ndarray, "row rank"], tag: int, tokens: ProbedTokens
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Rows that a probe is fitted on, whether they carry the tag, and what they weigh. All tokens on which the features
    are 0 are two rows: one with the tag and one without."""
    side, weight = np.array([True, False]), tokens.weight[place]
    fitted = weight > 0
    y, weight = tokens.carried[place[fitted], tag], weight[fitted]
    every = np.bincount(tokens.carried[:, tag], tokens.weight, 2)[::-1]
    rest = np.maximum(every - np.bincount(y, weight, 2)[::-1], 0)
    rows = np.concatenate([x[fitted], np.zeros((2, x.shape[1]))])
    return rows, np.append(y, side)[:, None], np.append(weight, rest)


def dense_probes(
    x: Float[np.ndarray, "token neuron"], tokens: ProbedTokens, probed: Bool[np.ndarray, " tag"]
) -> Logistic:
    """The probes of the tags that are probed on all activations, fitted together."""
    fitted = np.flatnonzero(tokens.weight)
    return fit(x[fitted].astype(np.float64), tokens.carried[fitted][:, probed], tokens.weight[fitted], PENALTY)


def dense_scores(
    x: Float[np.ndarray, "token neuron"],
    probes: Logistic,
    tokens: ProbedTokens,
    probed: Bool[np.ndarray, " tag"],
    seed: int,
) -> Scores:
    """Scores of these probes, [tag]."""
    odds, place = probes.log_odds(x), np.arange(len(x))
    tags = np.flatnonzero(probed).tolist()
    found = [[judged(Scored(place, own, -np.inf), tag, tokens)] for own, tag in zip(odds.T, tags, strict=True)]
    return _scores(found, tokens, probed, (), seed)


def _scores(
    found: list[list[Judged]], tokens: ProbedTokens, probed: Bool[np.ndarray, " tag"], shape: tuple[int, ...], seed: int
) -> Scores:
    """Scores of the probes of each tag that is probed."""
    every = {name: np.full((len(probed), *shape), np.nan) for name in Scores.__dataclass_fields__}
    if found:
        right, told = (
            np.array([[getattr(one, name) for one in row] for row in found], np.float64) for name in ("right", "told")
        )
        with_tag = np.stack([tokens.by_unit(tag=tag) for tag in np.flatnonzero(probed).tolist()])[:, None, :]
        whole = told + with_tag
        low, high = intervals_of_ratios(2 * right, whole, seed)
        sums = right.sum(-1)
        of = {
            "f1": 2 * sums / whole.sum(-1),
            "low": low,
            "high": high,
            "precision": np.divide(sums, told.sum(-1), out=np.zeros_like(sums), where=told.sum(-1) > 0),
            "recall": sums / with_tag.sum(-1),
            "auroc": np.array([[one.auroc for one in row] for row in found]),
        }
        for name, values in of.items():
            every[name][probed] = values.reshape(-1, *shape)
    return Scores(**every)
