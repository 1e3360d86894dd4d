"""How many sequences go through a model at once."""

import torch

from polysem.models.batches import TokenStore

BATCH_TOKENS = 4096
"""Tokens per forward pass; more do not run faster on a CPU and need more memory."""
BATCH_TOKENS_ON_GPU = 1 << 15
"""The same on a GPU, which is done with fewer before Python has asked for the next layer."""


def batch_tokens(device: torch.device) -> int:
    """Tokens per forward pass."""
    return BATCH_TOKENS_ON_GPU if device.type == "cuda" else BATCH_TOKENS


def sequences_at_once(store: TokenStore, device: torch.device) -> int:
    """Sequences of a token store, or images, per forward pass."""
    return max(1, batch_tokens(device) // (store.attributes["context_length"] if store.is_text else 1))
