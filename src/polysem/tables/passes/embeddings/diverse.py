"""What the table `diverse_examples` says (S4.X3): strong examples that differ, and how many others each stands for.

Candidates are the `top_examples` and the `further_examples` behind them, by activation, and, of text, the strongest
example of each of the `top_examples` tokens whose strongest ones are the largest: where the strongest examples are all
of one token, these are of others. In the order of their activations

1. a candidate with the same token behind the same `repeat_context` tokens as an earlier one is a repeat of it; images
   have no repeats;
2. of the others each is kept whose neuron embedding (S3.M1) has a cosine distance above `different_distance` from those
   of all kept before, up to `top_examples`. One that is not kept is similar to the nearest kept one.

Neurons without input weights have no embeddings: their repeats are counted, and all else is kept.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.numerics.diverse import NONE, Kept, first_equal, keep_different
from polysem.numerics.hashing import GOLDEN, mixed
from polysem.numerics.linkage import cosine_distances
from polysem.tables.passes.embeddings.entering import Entering
from polysem.tables.passes.embeddings.measured import FEATURES, pieces
from polysem.tables.passes.survey.windows import Tokens, Window, tokens_around

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Diverse:
    """The kept candidates of each feature, the largest activation first."""

    place: Int[np.ndarray, "feature example"]
    """Among the candidates; −1 behind the last one."""
    repeats: Int[np.ndarray, "feature example"]
    """Other candidates with the same token in the same context."""
    similar: Int[np.ndarray, "feature example"]
    """Other candidates that it stands for, with their repeats."""


def contexts(sequence: Whole, position: Whole, tokens: Tokens, before: int) -> NDArray[np.uint64]:
    """A number for the token and the `before` tokens in front of it at places of a token store [feature, candidate],
    which is the same where these are the same."""
    around = tokens_around(sequence, position, Window(before, 0), tokens)
    found = np.full(sequence.shape, GOLDEN)
    for offset in range(around.shape[2]):
        found = mixed(found + (around[:, :, offset].astype(np.int64) + 2).astype(np.uint64))
    return found


def diversified(
    token: Int[np.ndarray, "feature candidate"],
    context: NDArray[np.uint64] | None,
    into: Entering | None,
    apart: float,
    count: int,
) -> Diverse:
    """Up to `count` candidates of each feature that differ. `token` are numbers in the store, −1 behind a feature's
    last; `context` is the same for repeats, and None where there are none; `into` is what enters the features, None
    where they have no weights."""
    size = (token >= 0).sum(axis=1)
    places = np.arange(token.shape[1])
    first = np.where(places < size[:, None], places, NONE) if context is None else first_equal(context, size)
    alike = _counts(first, first >= 0, token.shape)
    leads = first == places
    order, leaders = np.argsort(~leads, axis=1, kind="stable"), leads.sum(axis=1)
    known = _all_kept(token.shape, leaders, count) if into is None else _kept(token, order, leaders, into, apart, count)
    place = np.where(known.kept >= 0, np.take_along_axis(order, np.maximum(known.kept, 0), axis=1), NONE)
    group = np.take_along_axis(alike, order, axis=1)
    together = _counts(known.stands_for, known.stands_for >= 0, place.shape, group)
    own = np.where(place >= 0, np.take_along_axis(alike, np.maximum(place, 0), axis=1), 0)
    return Diverse(place, np.where(place >= 0, own - 1, 0), together - own)


def _kept(token: Whole, order: Whole, leaders: Whole, into: Entering, apart: float, count: int) -> Kept:
    """Of the first `leaders` candidates in `order`, those that differ."""
    features, width = token.shape
    found = Kept(np.full((features, count), NONE, np.int64), np.full((features, width), NONE, np.int64))
    by_size = np.argsort(-leaders, kind="stable")[: int((leaders > 0).sum())]
    for start in range(0, len(by_size), FEATURES):
        part = by_size[start : start + FEATURES]
        longest = int(leaders[part[0]])
        of = np.maximum(np.take_along_axis(token[part], order[part, :longest], axis=1), 0)
        distances = np.empty((len(part), longest, longest), np.float32)
        for piece in pieces(len(part), longest * into.inputs):
            distances[piece] = cosine_distances(_entering(of[piece], into), into.weights[part[piece]])
        kept = keep_different(distances, leaders[part], apart, count)
        found.kept[part], found.stands_for[part, :longest] = kept.kept, kept.stands_for
    return found


def _entering(token: Whole, into: Entering) -> Float[np.ndarray, "feature candidate input"]:
    needed, place = np.unique(token, return_inverse=True)
    return into.of(needed)[place.reshape(token.shape)]


def _all_kept(shape: tuple[int, ...], leaders: Whole, count: int) -> Kept:
    """The first `count` leaders, each standing for itself."""
    number = np.arange(max(shape[1], count))
    kept = np.where(number[:count] < leaders[:, None], number[:count], NONE)
    stands_for = np.where(number[: shape[1]] < np.minimum(leaders, count)[:, None], number[: shape[1]], NONE)
    return Kept(kept, stands_for)


def _counts(
    number: Whole, counted: NDArray[np.bool_], shape: tuple[int, ...], weight: Whole | None = None
) -> NDArray[np.int64]:
    """How often each number occurs in each row [feature, number], or the sum of the weights there."""
    flat = (number + np.arange(len(number))[:, None] * shape[1])[counted]
    weights = None if weight is None else weight[counted]
    return np.bincount(flat, weights, minlength=shape[0] * shape[1]).astype(np.int64).reshape(shape)


def distinct(values: Int[np.ndarray, "feature example"]) -> NDArray[np.int64]:
    """How many different values each feature has; −1 is none."""
    ordered = np.sort(values, axis=1)
    fresh = ordered >= 0
    fresh[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    return np.asarray(fresh.sum(axis=1))
