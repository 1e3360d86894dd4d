"""Attention masks that files of weights hold beside the weights."""

import torch
from torch import Tensor


def is_causal_mask(tensor: Tensor, window: int | None = None) -> bool:
    """Whether it is a causal mask, of all tokens or of the last ones in a window, or the number that masked scores
    got."""
    if tensor.dim() == 0:
        return float(tensor) < 0
    if tensor.dim() == 1:
        return False
    whole = torch.ones(tensor.shape, dtype=torch.bool).tril()
    allowed = [whole] if window is None else [whole, whole & ~whole.tril(-window)]
    return any(torch.equal(tensor.bool(), mask) for mask in allowed)
