"""S1.F5: the continuations of all features, ways and doses, and what they are scored by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from polysem.corpora.recognisers import Recogniser
from polysem.interventions.generation import ENTRIES, continuations, vocabulary_size
from polysem.models.subject import Subject
from polysem.models.text import token_batch
from polysem.models.vocabulary import Vocabulary
from polysem.tables.parts.recognised import carried
from polysem.tables.parts.spelled import spelled
from polysem.tables.passes.steering.prompts import Ids
from polysem.tables.passes.steering.ways import Pushed, steered


@dataclass(frozen=True)
class Row:
    """A continuation that is asked for."""

    prompt: Ids
    key: int
    """Rows of one key draw with the same noise."""
    pushed: Pushed | None
    """What is edited; None for nothing."""
    dose: float


@dataclass(frozen=True)
class Written:
    """A continuation."""

    prompt: Ids
    ids: Int[np.ndarray, " token"]
    loss: float
    """Mean over its tokens of −log p under the model that is not edited, in nats."""


@dataclass(frozen=True)
class Scored:
    """A continuation as a text, and what of it carries a tag."""

    text: str
    marks: str
    """For each character of the text "1" where it is in a span of the tag, else "0"."""
    share: float
    """Share of the tokens that carry the tag."""


def write(subject: Subject, rows: Sequence[Row], tokens: int, seed: int, temperature: float) -> list[Written]:
    """All continuations, in the order of the rows."""
    found: dict[int, Written] = {}
    for length in sorted({len(row.prompt) for row in rows}):
        numbers = [number for number, row in enumerate(rows) if len(row.prompt) == length]
        own = [rows[number] for number in numbers]
        prompts = np.stack([row.prompt for row in own])
        edits = [(place, row.pushed, row.dose) for place, row in enumerate(own) if row.pushed is not None]
        keys = np.array([row.key for row in own])
        ids = continuations(subject, prompts, keys, tokens, seed, list(steered(edits, subject.device)), temperature)
        losses = _losses(subject, prompts, ids)
        for number, row, text, loss in zip(numbers, own, ids, losses.tolist(), strict=True):
            found[number] = Written(row.prompt, text, loss)
    return [found[number] for number in range(len(rows))]


def score(written: Written, vocabulary: Vocabulary, recognise: Recogniser | None) -> Scored:
    """The text of a continuation behind its prompt. Without a recogniser no share is known."""
    width = len(written.prompt)
    text, offsets = spelled([*written.prompt.tolist(), *written.ids.tolist()], vocabulary)
    start = int(offsets[width - 1, 1])
    if recognise is None:
        return Scored(text[start:], "0" * (len(text) - start), np.nan)
    spans = recognise(text)
    marks = np.zeros(len(text), int)
    for first, last, _ in spans:
        marks[first:last] = 1
    share = carried(text, offsets, spans)[width:].mean()
    return Scored(text[start:], "".join(map(str, marks[start:])), float(share))


@torch.inference_mode()
def _losses(
    subject: Subject, prompts: Int[np.ndarray, "row position"], ids: Int[np.ndarray, "row token"]
) -> Float[np.ndarray, " row"]:
    whole = np.concatenate([prompts, ids], axis=1)
    together = max(1, ENTRIES // (vocabulary_size(subject, prompts) * whole.shape[1]))
    found = []
    for start in range(0, len(whole), together):
        part = whole[start : start + together]
        losses = subject.evaluate(token_batch(part, np.ones(part.shape, bool))).losses
        found.append(losses[:, prompts.shape[1] - 1 : -1].double().mean(dim=1).cpu().numpy())
    return np.concatenate(found)
