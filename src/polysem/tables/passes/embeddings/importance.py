"""How much each token in front of a key token matters for a feature's activation there (S3.F2, S3.U1)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.models.batches import TokenStore
from polysem.models.subject import Batch, Subject
from polysem.saes.dictionary import Dictionary
from polysem.tables.passes.survey.windows import Window, tokens_around

BATCH_TOKENS = 4096
"""Tokens per forward pass."""


@dataclass(frozen=True)
class KeyTokens:
    """Features, and the places in the token store of the key tokens of an example of each."""

    feature: Int[np.ndarray, " example"]
    sequence: Int[np.ndarray, " example"]
    position: Int[np.ndarray, " example"]

    def part(self, examples: NDArray[np.int64]) -> "KeyTokens":
        """Some of them."""
        return KeyTokens(self.feature[examples], self.sequence[examples], self.position[examples])


def token_importance(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    tokens: TokenStore,
    keys: KeyTokens,
    before: int,
    replacement: int,
) -> Float[np.ndarray, "example offset"]:
    """Share of the activation at a key token that is lost when one token is replaced, for offsets −`before` … 0.

    (a − a′) / a, clipped to [0, 1]: a is the feature's activation at the key token of the sequence up to there, a′ the
    same with the token `replacement` at one place. NaN outside of the sequence, where the token is `replacement`
    already, and where the feature is not active. Source: document S3, "Experimental Setup", after Foote et al. 2023.
    """
    found = np.full((len(keys.feature), before + 1), np.nan, np.float32)
    order = np.argsort(keys.position, kind="stable")
    size = max(1, BATCH_TOKENS // ((before + 2) * (int(keys.position.max(initial=0)) + 1)))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        here = keys.part(part)
        prompts = _prompts(tokens, here)
        found[part] = _importance(subject, site, dictionary, prompts, here, before, replacement)
    return found


def _prompts(tokens: TokenStore, keys: KeyTokens) -> NDArray[np.int64]:
    """Tokens [example, position] up to the last key token; what lies behind an example's own does not reach it."""
    width = int(keys.position.max()) + 1
    up_to_key = tokens_around(keys.sequence, keys.position, Window(width - 1, 0), tokens)
    place = np.arange(width) + (width - 1 - keys.position)[:, None]
    prompts = np.take_along_axis(up_to_key, np.minimum(place, width - 1), axis=1)
    return np.maximum(prompts, 0).astype(np.int64)


def _importance(
    subject: Subject,
    site: str,
    dictionary: Dictionary,
    prompts: NDArray[np.int64],
    keys: KeyTokens,
    before: int,
    replacement: int,
) -> Float[np.ndarray, "example offset"]:
    count, width = prompts.shape
    changed = np.repeat(prompts[:, None], before + 2, axis=1)  # the last one stays as it is
    place = keys.position[:, None] + np.arange(-before, 1)
    known = place >= 0
    known &= np.take_along_axis(prompts, np.maximum(place, 0), axis=1) != replacement
    example, offset = np.nonzero(known)
    changed[example, offset, place[example, offset]] = replacement
    key = torch.from_numpy(keys.position).repeat_interleave(before + 2)
    feature = torch.from_numpy(keys.feature).repeat_interleave(before + 2)
    inputs = torch.from_numpy(changed.reshape(-1, width))
    nothing = torch.zeros_like(inputs, dtype=torch.bool)
    every = torch.arange(len(inputs))
    with torch.inference_mode():
        x = subject.activations(Batch(inputs, torch.zeros_like(inputs), nothing, nothing), [site])[site]
        activation = dictionary.encode(x[every, key.to(x.device)].float())[every, feature.to(x.device)]
    a = activation.clamp(min=0).cpu().numpy().reshape(count, before + 2)
    whole = a[:, -1:]
    lost = np.divide(whole - a[:, :-1], whole, out=np.full((count, before + 1), np.nan, np.float32), where=whole > 0)
    return np.where(known, np.clip(lost, 0, 1), np.nan).astype(np.float32)
