"""Which of the strongest features of texts have the text's token as their own top-activating token."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from polysem.saes.ranking import SCALES, Distributions
from polysem.tables.passes.matches.alike import MATCHES, Alike
from polysem.tables.passes.matches.own_tokens import OwnTokens
from polysem.tables.passes.matches.strong import Active, Strongest, strongest_of_all, strongest_of_texts
from polysem.tables.passes.matches.texts import Texts


@dataclass(frozen=True)
class Judged:
    """The strongest features of a dictionary on each text, on each of `SCALES`, and which of them match."""

    strongest: tuple[Strongest, ...]
    text_token: Int[np.ndarray, "scale text rank"]
    """The token of the text on which the feature is most active there; −1 behind the last feature."""
    own_token: Int[np.ndarray, "scale text rank"]
    """The feature's own top-activating token outside of the text; −1 where it has none."""
    matched: Bool[np.ndarray, "scale match text rank"]
    """Whether both are alike, for each of `MATCHES`."""
    matched_anywhere: Bool[np.ndarray, "scale match text rank"]
    """The same with the feature's top-activating token of all eval tokens, those of the text among them."""


def judged(active: Active, texts: Texts, distributions: Distributions, own: OwnTokens, alike: Alike) -> Judged:
    """The `TOP` strongest features of each text by a dictionary, held against their own tokens."""
    strongest = tuple(strongest_of_texts(active, len(texts), distributions, scale) for scale in SCALES)
    every = np.arange(len(texts))[:, None]
    token = np.stack([np.where(one.present, texts.ids[every, one.position], -1) for one in strongest])
    outside = np.stack([own.outside(one.feature, texts.eval_sequence) for one in strongest])
    anywhere = np.stack([own.anywhere(one.feature) for one in strongest])
    groups, of_outside, of_anywhere = (
        alike.groups(part.ravel()).reshape(len(MATCHES), *part.shape) for part in (token, outside, anywhere)
    )
    matched, matched_anywhere = (
        ((groups == of_own) & (groups >= 0)).swapaxes(0, 1) for of_own in (of_outside, of_anywhere)
    )
    return Judged(strongest, token, outside, matched, matched_anywhere)


@dataclass(frozen=True)
class OverAll:
    """The strongest features of each text over several dictionaries together."""

    taken: Int[np.ndarray, "dictionary scale text"]
    """How many of them are of each dictionary."""
    matches: Int[np.ndarray, "scale match text"]
    """How many of them match."""


def over_all(parts: Sequence[Judged]) -> OverAll:
    """What is strongest over all of some dictionaries."""
    order = np.stack([strongest_of_all([part.strongest[scale] for part in parts]) for scale in range(len(SCALES))])
    ranks = parts[0].matched.shape[-1]
    taken = np.stack([(order // ranks == number).sum(axis=-1) for number in range(len(parts))])
    matched = np.concatenate([part.matched for part in parts], axis=-1)
    of_all = np.take_along_axis(matched, order[:, None], axis=-1) & (order >= 0)[:, None]
    return OverAll(taken, of_all.sum(axis=-1))
