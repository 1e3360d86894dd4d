"""How well scores of tokens tell a tag: the threshold is chosen on half A, all else is of half B."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from polysem.tables.passes.probing.tokens import ProbedTokens

Numbers = NDArray[np.float64]


class Scored(NamedTuple):
    """Scores of tokens by a probe."""

    place: Int[np.ndarray, " row"]
    """Places of tokens with scores of their own, ascending."""
    score: Float[np.ndarray, " row"]
    rest: float
    """The score of all others."""


@dataclass(frozen=True)
class Judged:
    """What one probe is worth; counts of tokens by the units of the bootstrap."""

    auroc: float
    right: Int[np.ndarray, " unit"]
    """Tokens above the threshold that carry the tag."""
    told: Int[np.ndarray, " unit"]
    """Tokens above the threshold."""


def judged(scored: Scored, tag: int, tokens: ProbedTokens) -> Judged:
    """A probe of a tag by its scores."""
    own = tokens.carried[scored.place, tag]
    later = tokens.held_out[scored.place]
    threshold = best_threshold(*_levels(scored, own, ~later, tokens.of_tag(tag, later=False)))
    hit = later & (scored.score >= threshold)
    told, right = tokens.by_unit(scored.place[hit]), tokens.by_unit(scored.place[hit & own])
    if scored.rest >= threshold:
        told = told + tokens.by_unit() - tokens.by_unit(scored.place[later])
        right = right + tokens.by_unit(tag=tag) - tokens.by_unit(scored.place[later & own])
    area = area_under_curve(*_levels(scored, own, later, tokens.of_tag(tag, later=True)))
    return Judged(area, right, told)


def _levels(
    scored: Scored, own: Bool[np.ndarray, " row"], half: Bool[np.ndarray, " row"], all_of_half: tuple[int, int]
) -> tuple[Numbers, Numbers, Numbers]:
    """Scores in descending order, and how many tokens of a half with the tag and without it have each; `own` says which
    tokens with scores of their own carry it, `all_of_half` how many tokens do and do not."""
    level, tagged = scored.score[half], own[half].astype(np.float64)
    with_tag, without = all_of_half[0] - tagged.sum(), all_of_half[1] - (1 - tagged).sum()
    if with_tag or without:
        level = np.append(level, scored.rest)
    untagged = np.append(1 - tagged, without)[: len(level)]
    tagged = np.append(tagged, with_tag)[: len(level)]
    order = np.argsort(-level, kind="stable")
    return level[order], tagged[order], untagged[order]


def _ends(level: Numbers) -> NDArray[np.int64]:
    """The last place of each level."""
    return np.flatnonzero(np.append(level[1:] != level[:-1], True))


def best_threshold(level: Numbers, tagged: Numbers, untagged: Numbers) -> float:
    """Half-way between the level at which "the score is at least that" has the highest F1, the highest among equals,
    and the next lower one; that level itself if it is the lowest. Levels descend."""
    ends = _ends(level)
    right, wrong = np.cumsum(tagged)[ends], np.cumsum(untagged)[ends]
    best = int((2 * right / (right + wrong + right[-1])).argmax())
    lower = min(best + 1, len(ends) - 1)
    return float((level[ends[best]] + level[ends[lower]]) / 2)


def area_under_curve(level: Numbers, tagged: Numbers, untagged: Numbers) -> float:
    """The probability that a token with the tag has the higher score, ties counting half. Levels descend."""
    ends = _ends(level)
    right, wrong = (np.concatenate([[0.0], np.cumsum(counts)[ends]]) for counts in (tagged, untagged))
    return float(np.trapezoid(right, wrong) / (right[-1] * wrong[-1]))
