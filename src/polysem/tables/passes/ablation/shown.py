"""Whole contexts in which some features are ablated everywhere, with the change at every token."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int

from polysem.activations.left_out import LeftOut
from polysem.interventions.edits import ablation, replacements
from polysem.interventions.effects import sequences_of
from polysem.models.batches import TokenStore
from polysem.models.subject import Batch, Subject
from polysem.saes.dictionary import Dictionary
from polysem.tables.parts.showcase import showcase, showcase_tags
from polysem.tables.passes.ablation.spots import Spots

SHOWN, CONTEXTS = 3, 2
"""Features of a dictionary, and contexts of each, that are shown: from the highest interval of its activation, and from
the middle one of those that were found."""
ALL = 1 << 30


@dataclass(frozen=True)
class Contexts:
    """Contexts around one token each; sequence −1 for none."""

    feature: Int[np.ndarray, " shown"]
    tag: list[str]
    """The tag of which it is the best feature; '' for one that is shown because it is strong."""
    sequence: Int[np.ndarray, "shown context"]
    position: Int[np.ndarray, "shown context"]
    token: Int[np.ndarray, "shown context offset"]
    """−1 outside of the sequence."""
    activation: Float[np.ndarray, "shown context offset"]
    change: Float[np.ndarray, "shown context offset"]
    """Of the log-probability of each token, given those before it, in nats; NaN where none is predicted."""


def shown_features(frequency: xr.Dataset, tags: xr.Dataset) -> tuple[list[int], list[str]]:
    """The features of a dictionary that are shown, and the tag of which each is the best feature, or ''."""
    features = showcase(frequency, tags, SHOWN)
    names = {
        int(tags["best_feature"].to_numpy()[tag]): str(tags["tag"].to_numpy()[tag])
        for tag in showcase_tags(tags, SHOWN)
    }
    return features, [names.get(feature, "") for feature in features]


def shown_contexts(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    store: TokenStore,
    spots: Spots,
    examples: xr.Dataset,
    features: list[int],
    tags: list[str],
    left_out: Mapping[str, LeftOut],
) -> Contexts:
    """Contexts of some features, with each of them set to 0 at every counted token of its sequence that is not left
    out.

    Source: document S1, "Feature ablations" ("artificially setting it to zero on the whole context").
    """
    row = np.searchsorted(spots.feature, features)
    count = spots.known[row].sum(axis=1)
    place = np.stack([np.zeros(len(row), np.int64), count // 2], axis=1)
    there = np.stack([count > 0, count > 1], axis=1)
    sequence, position, example = (
        np.where(there, of[row[:, None], place], -1) for of in (spots.sequence, spots.position, spots.example)
    )
    offset = examples["offset"].to_numpy()
    windows = [
        examples[name].to_numpy()[np.array(features, np.int64)[:, None], example]
        for name in ("token", "window_activation")
    ]
    token = np.where(there[..., None], windows[0], -1)
    activation = np.where(there[..., None], windows[1], np.nan)
    change = np.full(token.shape, np.nan)
    wanted = np.nonzero(there)
    if len(wanted[0]):
        change[wanted] = _changes(
            subject,
            site,
            dictionary,
            store,
            np.array(features, np.int64)[wanted[0]],
            sequence[wanted],
            position[wanted],
            offset,
            left_out,
        )
    predicted = (token >= 0) & (position[..., None] + offset >= 1)
    return Contexts(
        np.array(features, np.int64), tags, sequence, position, token, activation, np.where(predicted, change, np.nan)
    )


@torch.inference_mode()
def _changes(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    store: TokenStore,
    feature: Int[np.ndarray, " context"],
    sequence: Int[np.ndarray, " context"],
    position: Int[np.ndarray, " context"],
    offset: Int[np.ndarray, " offset"],
    left_out: Mapping[str, LeftOut],
) -> Float[np.ndarray, "context offset"]:
    found = np.full((len(feature), len(offset)), np.nan)
    for numbers, several in sequences_of(store, np.unique(sequence), ALL):
        mine = np.flatnonzero(np.isin(sequence, numbers))
        row = np.searchsorted(numbers, sequence[mine])
        batch = Batch(*(value[row] for value in (several.inputs, several.targets, several.scored, several.counted)))
        batch = batch.to(subject.device)
        at = torch.from_numpy((position[mine, None] + offset - 1).clip(0, batch.targets.shape[1] - 1))
        features = torch.from_numpy(feature[mine])[:, None].to(subject.device)
        edit = replacements(site, dictionary, ablation(features, positions=batch.counted, left_out=left_out))
        change = subject.log_probabilities(batch, edit, at=at) - subject.log_probabilities(batch, at=at)
        follows = batch.targets.gather(1, at.to(subject.device))
        found[mine] = change.gather(-1, follows[..., None])[..., 0].double().cpu().numpy()
    return found
