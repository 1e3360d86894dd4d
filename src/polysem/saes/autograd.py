"""Gradients of any loss, by torch's autograd: over all pre-activations, where a fast path goes over active ones."""

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.entries import DenseEntries
from polysem.saes.gradients import Gradients
from polysem.saes.losses import BaseLoss, Weights, decoder_norms
from polysem.saes.readings import reading


def gradients(
    loss: BaseLoss, x: Float[Tensor, "token neuron"], target: Float[Tensor, "token neuron"], weights: Weights
) -> Gradients:
    """Derivatives of a loss by all weights, in the number format of the batch; a few arrays of tokens and features."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items() if name != "decoder_norm"}
    with torch.enable_grad():
        norms = {"decoder_norm": decoder_norms(leaves["W_dec"])} if "decoder_norm" in weights else {}
        forward = loss(x, target, leaves | norms)
        total = torch.stack(list(forward.terms.values())).sum()
        found = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    # copies, because autograd may give one tensor for two weights, and what follows changes gradients in place
    by_weight = {name: gradient.clone() for name, gradient in zip(leaves, found, strict=True)}
    features, residual = forward.features.detach(), forward.reconstruction.detach() - target
    terms = {name: reading(term.detach()) for name, term in forward.terms.items()}
    return Gradients(by_weight, DenseEntries(features > 0, features, features.dtype), residual, terms)
