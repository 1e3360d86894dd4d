"""Activations of the best feature of each tag on tokens with and without it, from a sample of tokens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polysem.tables.parts.tag_counts import CHOOSING, Counts, Numbers, all_pairs
from polysem.tables.parts.tagged_sample import Activations, Sample, auroc
from polysem.tables.parts.token_tags import held_out

EDGES = 2.0 ** (np.arange(-80, 49) / 4)
"""Edges of the bins of activations; what lies beyond them falls into the first and the last."""
CANDIDATES = 4
"""Features tried with thresholds of their own per tag: so many with the highest F1, and so many with the highest
correlation."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """Over tags: the best feature (−1: none), the activation from which on it counts as active, its F1 on half A."""

    feature: Ints
    threshold: Numbers
    f1: Numbers


@dataclass(frozen=True)
class Distributions:
    """Over tags, for the chosen feature of each on the sampled tokens of half B; counts and sums by [tag, bin].

    Precision, recall, F1 and the true-negative rate count it as active from its threshold on, all others from 0.
    """

    precision: Numbers
    recall: Numbers
    f1: Numbers
    true_negative_rate: Numbers
    auroc: Numbers
    sampled_with: Ints
    sampled_without: Ints
    tokens_with: Ints
    tokens_without: Ints
    mass_with: Numbers
    mass_without: Numbers


def choose(sample: Sample, candidates: list[Ints], activations: dict[int, Activations]) -> Chosen:
    """The feature with the highest F1 at its best threshold for each tag, on the sampled tokens of half A.

    Neurons, and many features, are active on many tokens and tell a tag by how strongly: with a threshold at 0 alone, a
    comparison would be unfair. All candidates of a tag are tried with every threshold.
    """
    half = held_out(sample.sequences())
    choosing = {feature: _descending(found, ~half) for feature, found in activations.items()}
    tags = len(candidates)
    chosen = Chosen(np.full(tags, -1, np.int64), np.full(tags, np.nan), np.full(tags, np.nan))
    for tag, features in enumerate(candidates):
        carried = sample.carried(tag)
        with_tag, highest = int((carried & ~half).sum()), 0.0
        for feature in features.tolist():
            f1, level = best_threshold(choosing[feature].value, carried[choosing[feature].row], with_tag)
            if f1 > highest:
                highest = f1
                chosen.feature[tag], chosen.threshold[tag], chosen.f1[tag] = feature, level, f1
    return chosen


def distributions(sample: Sample, chosen: Chosen, activations: dict[int, Activations]) -> Distributions:
    """What half B says of the chosen feature of each tag."""
    tags, bins = len(chosen.feature), len(EDGES) - 1
    found = Distributions(
        precision=np.full(tags, np.nan),
        recall=np.full(tags, np.nan),
        f1=np.full(tags, np.nan),
        true_negative_rate=np.full(tags, np.nan),
        auroc=np.full(tags, np.nan),
        sampled_with=np.zeros(tags, np.int64),
        sampled_without=np.zeros(tags, np.int64),
        tokens_with=np.zeros((tags, bins), np.int64),
        tokens_without=np.zeros((tags, bins), np.int64),
        mass_with=np.zeros((tags, bins)),
        mass_without=np.zeros((tags, bins)),
    )
    half = held_out(sample.sequences())
    for tag, feature in enumerate(chosen.feature.tolist()):
        carried = sample.carried(tag)
        with_tag, without = int((carried & half).sum()), int((~carried & half).sum())
        found.sampled_with[tag], found.sampled_without[tag] = with_tag, without
        if feature < 0:
            continue
        rows, active = activations[feature]
        rows, active = rows[half[rows]], active[half[rows]]
        tagged = carried[rows]
        above = active >= chosen.threshold[tag]
        right, wrong = int((above & tagged).sum()), int((above & ~tagged).sum())
        found.precision[tag] = _share(right, right + wrong)
        found.recall[tag] = _share(right, with_tag)
        found.f1[tag] = _share(2 * right, right + wrong + with_tag)
        found.true_negative_rate[tag] = _share(without - wrong, without)
        found.auroc[tag] = auroc(active, tagged, with_tag, without)
        place = np.clip(np.searchsorted(EDGES, active, side="right") - 1, 0, bins - 1)
        for some, tokens, mass in (
            (tagged, found.tokens_with, found.mass_with),
            (~tagged, found.tokens_without, found.mass_without),
        ):
            tokens[tag] = np.bincount(place[some], minlength=bins)
            mass[tag] = np.bincount(place[some], active[some].astype(np.float64), bins)
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _descending(found: Activations, tokens: NDArray[np.bool_]) -> Activations:
    """The activations on some tokens, the largest first."""
    here = tokens[found.row]
    rows, values = found.row[here], found.value[here]
    order = np.argsort(-values, kind="stable")
    return Activations(rows[order], values[order])


def best_threshold(active: NDArray[np.float32], tagged: NDArray[np.bool_], with_tag: int) -> tuple[float, float]:
    """Highest F1 of "the activation reaches a threshold" for a tag of `with_tag` tokens, and that threshold, the
    highest among equals; `active` are the activations above 0, descending. (0, NaN) where nothing can be told."""
    if not len(active) or not with_tag:
        return 0.0, float("nan")
    right = np.cumsum(tagged)
    last = np.append(active[1:] != active[:-1], True)
    f1 = np.where(last, 2 * right / (np.arange(1, len(active) + 1) + with_tag), 0.0)
    place = int(f1.argmax())
    return float(f1[place]), float(active[place])


def candidates(counts: Counts, best: Ints) -> list[Ints]:
    """For each tag its best feature and those with the highest F1 and correlation on half A; none where it is −1."""
    if not len(best) or not counts.active.shape[1]:
        return [np.zeros(0, np.int64) for _ in best]
    scores = all_pairs(counts, CHOOSING)
    few = min(CANDIDATES, counts.active.shape[1])
    both = (np.nan_to_num(values) for values in (scores.f1, scores.correlation))
    tried = [np.argsort(-values, axis=0, kind="stable")[:few] for values in both]
    together = np.concatenate([best[None], *tried])
    return [np.unique(column) if column[0] >= 0 else np.zeros(0, np.int64) for column in together.T]
