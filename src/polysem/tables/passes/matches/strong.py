"""Which features of a dictionary are strongest on each text, on each scale, and where in the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from polysem.activations.left_out import LeftOut
from polysem.models.subject import Subject
from polysem.saes.entries import SparseEntries
from polysem.saes.ranking import Distributions, scaled, strongest
from polysem.tables.passes.matches.texts import Texts
from polysem.tables.passes.survey.blocks import Search

TOP = 25
"""Features that are shown of a text, as in the document."""


@dataclass(frozen=True)
class Active:
    """The features of a dictionary that are active on some texts, each once for a text, where it is strongest there;
    text by text."""

    text: Int[np.ndarray, " entry"]
    feature: Int[np.ndarray, " entry"]
    position: Int[np.ndarray, " entry"]
    """Of the token in its text, BOS included."""
    value: Float[np.ndarray, " entry"]
    """The activation, float32."""


@dataclass(frozen=True)
class Strongest:
    """The strongest features of each text on a scale, best first; a text may have fewer than there are ranks."""

    feature: Int[np.ndarray, "text rank"]
    """−1 behind the last one."""
    position: Int[np.ndarray, "text rank"]
    value: Float[np.ndarray, "text rank"]
    on_scale: Float[np.ndarray, "text rank"]
    """−∞ behind the last one."""

    @property
    def present(self) -> Bool[np.ndarray, "text rank"]:
        """Where there is one."""
        return self.feature >= 0


def active_features(
    subject: Subject, site: str, searches: Sequence[Search], texts: Texts, left_out: LeftOut
) -> list[Active]:
    """What is active at a site on all texts, but for tokens that are left out there, by the searches of some
    dictionaries."""
    found: list[list[Active]] = [[] for _ in searches]
    for part, batch in texts.parts():
        values = subject.activations(batch, [site])[site]
        kept = batch.counted.to(values.device) & ~left_out.of(values)
        x = values[kept].float().cpu()
        row, position = (place.cpu().numpy() for place in torch.nonzero(kept, as_tuple=True))
        for search, pieces in zip(searches, found, strict=True):
            with torch.no_grad():
                pieces.append(_reduced(search(x), row + part.start, position))
    return [_joined(pieces) for pieces in found]


def _reduced(entries: SparseEntries, text: Int[np.ndarray, " token"], position: Int[np.ndarray, " token"]) -> Active:
    """Of the entries of consecutive tokens, text by text, the strongest of each feature in each text."""
    row, feature, value = entries.row.numpy(), entries.feature.numpy(), entries.value.numpy()
    of = text[row]
    kept = [np.zeros(0, np.int64)]
    for number in np.unique(of):
        part = slice(*np.searchsorted(of, (number, number + 1)))
        kept.append(part.start + strongest(feature[part], value[part], value[part], entries.features))
    entry = np.concatenate(kept)
    return Active(of[entry], feature[entry], position[row[entry]], value[entry])


def _joined(pieces: Sequence[Active]) -> Active:
    names = ("text", "feature", "position", "value")
    return Active(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))


def strongest_of_texts(active: Active, texts: int, distributions: Distributions, scale: str) -> Strongest:
    """The `TOP` strongest features of each of some texts on a scale (`polysem.saes.ranking`)."""
    on_scale = scaled(active.value, active.feature, distributions, scale)
    entry = np.full((texts, TOP), -1, np.int64)
    bounds = np.searchsorted(active.text, np.arange(texts + 1))
    for number, (start, stop) in enumerate(pairwise(bounds)):
        part = slice(start, stop)
        best = strongest(active.feature[part], active.value[part], on_scale[part], TOP)
        entry[number, : len(best)] = start + best
    if not len(active.value):
        nothing = np.full(entry.shape, -1)
        return Strongest(nothing, nothing, np.zeros(entry.shape, np.float32), np.full(entry.shape, -np.inf))
    there = entry >= 0
    return Strongest(
        np.where(there, active.feature[entry], -1),
        np.where(there, active.position[entry], -1),
        np.where(there, active.value[entry], 0),
        np.where(there, on_scale[entry], -np.inf),
    )


def strongest_of_all(parts: Sequence[Strongest]) -> Int[np.ndarray, "text rank"]:
    """The `TOP` strongest features of each text over several dictionaries, by their places in the ranks of these, one
    dictionary after the other; −1 where there are fewer.

    Whatever is among the strongest of all is among the strongest of its own dictionary. Equal ones are told apart as
    within one: by the raw activation, then by dictionary and feature.
    """
    on_scale, value = (
        np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("on_scale", "value")
    )
    number = np.concatenate([(place << 32) + part.feature for place, part in enumerate(parts)], axis=1)
    order = np.lexsort((number, -value, -on_scale))[:, :TOP]
    return np.where(np.take_along_axis(on_scale, order, axis=1) > -np.inf, order, -1)
