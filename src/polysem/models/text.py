"""Texts that are no part of a corpus, tokenized as the corpus of a model is."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.models.subject import Batch
from polysem.models.tokenize_corpus import Front, Tokenization
from polysem.models.tokenizer import load_tokenizer, token_id


class TextTokens:
    """Tokenizes one text after the other, with the model's BOS token in front."""

    def __init__(self, tokenizer: Path, params: Tokenization) -> None:
        self._tokenizer = load_tokenizer(tokenizer)
        self._front = Front(self._tokenizer, params.bos_token)
        self._masked = [token_id(self._tokenizer, token) for token in params.mask_tokens]
        self.context: int = params.context_length
        """Tokens of a text that the model reads, at most."""

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the tokenizer knows."""
        return int(self._tokenizer.get_vocab_size())

    def __call__(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The numbers of a text's tokens, however many, and which of them count: masked ones do not. InputError for a
        text without tokens."""
        found = np.array(self._tokenizer.encode(self._front.text + text, add_special_tokens=False).ids, np.int64)
        if not text or not len(found):
            raise InputError("the text is empty; give one with at least one token")
        ids = np.concatenate([self._front.ids, found])
        return ids, ~np.isin(ids, self._masked)

    def within_context(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The same of a text that the model can read: InputError for one with more tokens than its context."""
        ids, counted = self(text)
        if len(ids) > self.context:
            raise InputError(
                f"the text has {len(ids)} tokens, {self.context} are the model's context; give a shorter one"
            )
        return ids, counted


def text_batch(tokenizer: Path, text: str, params: Tokenization) -> Batch:
    """A text as one sequence; see `TextTokens.within_context`."""
    ids, counted = TextTokens(tokenizer, params).within_context(text)
    inputs = torch.from_numpy(ids)[None]
    targets, scored = torch.zeros_like(inputs), torch.ones_like(inputs, dtype=torch.bool)
    targets[:, :-1], scored[:, -1] = inputs[:, 1:], False
    return Batch(inputs, targets, scored, torch.from_numpy(counted)[None])


def text_tokens(tokenizer: Path, text: str, params: Tokenization) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The tokens of one text; see `TextTokens`."""
    return TextTokens(tokenizer, params)(text)
