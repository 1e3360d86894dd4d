"""The gradients of the loss over active features, a group of them after the other.

A group is what a prefix has and the one before it has not. Its features are in the reconstructions of that prefix and
of all longer ones, so what pulls at them is the sum of these residuals.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.architectures.matryoshka_batchtopk.loss import Loss
from polysem.saes.gradients import Gradients, search
from polysem.saes.losses import Weights
from polysem.saes.readings import reading
from polysem.saes.search import LargestOfBatch


def gradients(
    loss: Loss, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
) -> Gradients:
    """See `polysem.saes.architecture.FastPath`."""
    tokens, (W_enc, W_dec, b_dec) = len(x), (weights[name] for name in ("W_enc", "W_dec", "b_dec"))
    active = search(x, weights, LargestOfBatch(loss.k))
    spans = list(pairwise([0, *loss.sizes(len(W_enc))]))
    groups = [active.columns(start, stop) for start, stop in spans]
    residuals, residual = [], b_dec - target
    for group, (start, stop) in zip(groups, spans, strict=True):
        residual = group.sums(group.value, W_dec[start:stop]).add_(residual)
        residuals.append(residual)
    by_weight = {name: torch.empty_like(weights[name]) for name in ("W_enc", "b_enc", "W_dec")}
    pull = torch.zeros_like(target)
    in_decoder = torch.zeros_like(b_dec)
    for group, (start, stop), residual in reversed(list(zip(groups, spans, residuals, strict=True))):
        pull += residual
        in_decoder += residual.sum(0)
        slope = group.dots(pull, W_dec[start:stop]).mul_(2 / tokens)
        total = group.per_feature(slope)
        by_weight["W_dec"][start:stop] = group.outer(group.value, pull).mul_(2 / tokens)
        by_weight["W_enc"][start:stop] = group.outer(slope, x).addr_(total, b_dec, alpha=-1)
        by_weight["b_enc"][start:stop] = total
    by_weight["b_dec"] = in_decoder.mul_(2 / tokens).addmv_(W_enc.T, by_weight["b_enc"], alpha=-1)
    errors = [reading(residual.norm(dim=1).square().sum()) / tokens for residual in residuals]
    terms = {"squared_error": errors[-1], "prefix_error": sum(errors[:-1])}
    return Gradients(by_weight, active, residuals[-1], terms)
