"""One text as a batch, tokenized as the corpus of a model is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from polysem.io.errors import InputError
from polysem.models.subject import Batch
from polysem.models.tokenize_corpus import Front, Tokenization
from polysem.models.tokenizer import load_tokenizer, token_id


def text_batch(tokenizer: Path, text: str, params: Tokenization) -> Batch:
    """A text as one sequence, with the model's BOS token in front; masked tokens do not count.

    Raises InputError for a text without tokens, or with more than the model's context.
    """
    tokens = load_tokenizer(tokenizer)
    front = Front(tokens, params.bos_token)
    found = np.array(tokens.encode(front.text + text, add_special_tokens=False).ids, np.int64)
    ids = np.concatenate([front.ids, found])
    if not text or not len(found):
        raise InputError("the text is empty; give one with at least one token")
    if len(ids) > params.context_length:
        raise InputError(
            f"the text has {len(ids)} tokens, {params.context_length} are the model's context; give a shorter one"
        )
    return token_batch(ids[None], [token_id(tokens, token) for token in params.mask_tokens])


def token_batch(ids: Int[np.ndarray, "sequence position"], masked: Sequence[int] = ()) -> Batch:
    """Sequences of one length as a batch; the tokens of them that are `masked` do not count."""
    inputs = torch.from_numpy(ids.astype(np.int64, copy=False))
    targets, scored = torch.zeros_like(inputs), torch.ones_like(inputs, dtype=torch.bool)
    targets[:, :-1], scored[:, -1] = inputs[:, 1:], False
    return Batch(inputs, targets, scored, torch.from_numpy(~np.isin(ids, masked)))
