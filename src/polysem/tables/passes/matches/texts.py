"""The texts whose strongest features are looked at: beginnings of documents, and one's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int

from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK
from polysem.models.batches import TokenStore
from polysem.models.subject import Batch
from polysem.models.text import text_tokens
from polysem.models.tokenize_corpus import Tokenization
from polysem.tables.parts.evaluation import POSITIONS

OWN = "own"
"""Origin of one's own texts; that of the others is the split of their documents."""


@dataclass(frozen=True)
class Texts:
    """Some texts as tokens. Behind those that count, nothing is read: what a model does at a token depends on those in
    front of it alone."""

    ids: Int[np.ndarray, "text position"]
    """Token ids with BOS; 0 behind the end."""
    counted: Bool[np.ndarray, "text position"]
    """Which tokens count; BOS and masked ones do not."""
    origin: list[str]
    """Of each text "eval" or "train", or `OWN`."""
    sequence: Int[np.ndarray, " text"]
    """Its number in the token store of its split; −1 of one's own."""
    left_out: Int[np.ndarray, " text"]
    """Tokens behind the last one that counts."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def eval_sequence(self) -> Int[np.ndarray, " text"]:
        """The number in the token store of the eval split; −1 of texts that are of no eval document."""
        return np.where(np.array(self.origin) == "eval", self.sequence, -1)

    def parts(self) -> Iterator[tuple[slice, Batch]]:
        """Some texts after the other, and what the model reads of them."""
        size = max(1, POSITIONS // self.ids.shape[1])
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            inputs, counted = torch.from_numpy(self.ids[part]), torch.from_numpy(self.counted[part])
            nothing = torch.zeros_like(counted)
            yield part, Batch(inputs, torch.zeros_like(inputs), nothing, counted).without_padding()


@dataclass(frozen=True)
class _Text:
    ids: Int[np.ndarray, " position"]
    counted: Bool[np.ndarray, " position"]
    origin: str
    sequence: int
    left_out: int = 0

    def cut(self, tokens: int, context: int) -> "_Text":
        """The beginning with so many tokens that count, within a context."""
        kept = np.flatnonzero(self.counted[:context])[:tokens]
        stop = int(kept[-1]) + 1 if len(kept) else 0
        beginning = replace(self, ids=self.ids[:stop].copy(), counted=self.counted[:stop].copy())
        return replace(beginning, left_out=int(self.counted[stop:].sum()))


def chosen_texts(store: TokenStore, split: str, texts: int, tokens: int, own: Sequence[str], tokenizer: Path) -> Texts:
    """The beginnings of `texts` evenly spread sequences of a store, as far as they have tokens that count, and then
    one's own texts: of each the first `tokens` that count, within the context. InputError for one of one's own in which
    none does.
    """
    params = Tokenization.model_validate({key: store.receipt["params"][key] for key in Tokenization.model_fields})
    found = [text.cut(tokens, params.context_length) for text in _spread(store, split, texts)]
    for number, words in enumerate(own):
        cut = _Text(*text_tokens(tokenizer, words, params), OWN, -1).cut(tokens, params.context_length)
        if not len(cut.ids):
            raise InputError(
                f"analysis.match_own_texts: of text {number} no token counts within the model's context of "
                f"{params.context_length}; masked are {', '.join(params.mask_tokens)}"
            )
        found.append(cut)
    shape = (len(found), max(len(text.ids) for text in found))
    ids, counted = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for row, text in enumerate(found):
        ids[row, : len(text.ids)], counted[row, : len(text.ids)] = text.ids, text.counted
    sequence, left_out = (np.array([getattr(text, name) for text in found]) for name in ("sequence", "left_out"))
    return Texts(ids, counted, [text.origin for text in found], sequence, left_out)


def _spread(store: TokenStore, split: str, texts: int) -> Iterator[_Text]:
    """Evenly spread sequences in which some token counts."""
    chosen = np.unique(np.linspace(0, store.sequences - 1, min(texts, store.sequences)).round().astype(np.int64))
    for start in range(0, store.sequences, ROWS_PER_CHUNK):
        here = chosen[(chosen >= start) & (chosen < start + ROWS_PER_CHUNK)]
        if len(here):
            batch = store.batch(start, start + ROWS_PER_CHUNK)
            for sequence in here.tolist():
                ids, counted = (of[sequence - start].numpy() for of in (batch.inputs, batch.counted))
                if counted.any():
                    yield _Text(ids, counted, split, sequence)
