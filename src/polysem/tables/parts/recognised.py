"""S1.F5: which tokens carry a tag by its recogniser, and how well the recogniser agrees with the known truth."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int

from polysem.corpora.recognisers import Recogniser
from polysem.corpora.tagged import Span
from polysem.models.batches import TokenStore
from polysem.models.tokenize_corpus import tag_bits
from polysem.models.vocabulary import Vocabulary
from polysem.tables.parts.spelled import spelled
from polysem.tables.parts.token_tags import TokenTags

TRUSTED = 0.75
"""F1 against the known truth from which on a recogniser is believed."""
FEWEST = 10
"""Eval tokens that carry a tag, below which nothing can be said of its recogniser."""
CHECKED = 20_000
"""Eval tokens on which recognisers are held against the truth."""
SEQUENCES = 256
"""Sequences that are read at once."""


def carried(text: str, offsets: Int[np.ndarray, "token 2"], spans: Sequence[Span]) -> Bool[np.ndarray, " token"]:
    """Which tokens of a text are in one of the spans, by the rule by which tokens of a corpus get their tags."""
    if not len(offsets):
        return np.zeros(0, bool)
    named = [{"start": start, "end": stop, "tag": ""} for start, stop, _ in spans]
    return tag_bits(offsets, text, named, {"": 0})[:, 0].astype(bool)


def agreement(
    store: TokenStore, tags: TokenTags, vocabulary: Vocabulary, recognisers: Mapping[str, Recogniser]
) -> dict[str, float]:
    """F1 of each recogniser against the tags of the first eval tokens, whole sequences up to `CHECKED` of them; NaN
    where fewer than `FEWEST` carry the tag."""
    numbers = {tag: number for number, tag in enumerate(recognisers)}
    columns = [tags.names.index(tag) for tag in recognisers]
    hits = np.zeros((3, len(recognisers)), np.int64)
    tokens = 0
    for start in range(0, store.sequences, SEQUENCES):
        for number, ids in enumerate(store.ids(start, min(start + SEQUENCES, store.sequences)), start):
            ids = ids[ids >= 0]
            text, offsets = spelled(ids.tolist(), vocabulary)
            spans = [
                {"start": start, "end": stop, "tag": tag}
                for tag, recognise in recognisers.items()
                for start, stop, _ in recognise(text)
            ]
            words = tag_bits(offsets, text, spans, numbers).astype("<u8").view(np.uint8)
            found = np.unpackbits(words, axis=1, bitorder="little", count=len(numbers)).astype(bool)
            true = tags.at(np.full(len(ids), number), np.arange(len(ids)))[:, columns]
            hits += [(found & true).sum(axis=0), found.sum(axis=0), true.sum(axis=0)]
            tokens += len(ids)
            if tokens >= CHECKED:
                return _f1_by_tag(list(recognisers), hits)
    return _f1_by_tag(list(recognisers), hits)


def _f1_by_tag(tags: Sequence[str], hits: Int[np.ndarray, "3 tag"]) -> dict[str, float]:
    return {tag: _f1(*counts) for tag, counts in zip(tags, hits.T.tolist(), strict=True)}


def _f1(both: int, found: int, true: int) -> float:
    return 2 * both / (found + true) if true >= FEWEST else float("nan")
