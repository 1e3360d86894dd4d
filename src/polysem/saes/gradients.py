"""Exact gradients of SAEs with one dense matrix product, the search for active features.

Loss per token: ‖x̂ − target‖² + penalty(f), with pre = (x − b_dec) W_encᵀ + b_enc, features f of some pre-activations
and x̂ = f W_dec + b_dec. A transcoder (`polysem.saes.transcoding`) has x̂ = f W_dec + b_dec_out and pre = x W_encᵀ +
b_enc. Everything but the search runs over the active entries; no graph is recorded. All derivatives
are of means over tokens. The fast path of an architecture puts its gradients together from the parts here.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.saes.entries import Entries, PerEntry
from polysem.saes.losses import Term, Weights
from polysem.saes.penalties import Penalty
from polysem.saes.readings import Scalar, reading
from polysem.saes.search import Rule, active_entries

AUXILIARY = Term("auxiliary squared error per token", "squared activation")
"""What the dead features pay (`auxiliary_gradients`)."""


@dataclass
class Gradients:
    """Derivatives of the loss, by the names of the weights, with what the step saw."""

    by_weight: Weights
    active: Entries
    """The features that are active, with their values."""
    residual: Float[Tensor, "token neuron"]
    """x̂ − target."""
    terms: dict[str, Scalar] = field(default_factory=dict)
    """Terms of the loss, means over tokens."""


def search(x: Float[Tensor, "token neuron"], weights: Weights, rule: Rule) -> Entries:
    """Active pre-activations; b_dec is folded into the bias, so that x − b_dec is never made."""
    return active_entries(x, weights["W_enc"], _encoder_bias(weights["W_enc"], weights["b_enc"], weights), rule)


def _encoder_bias(W_enc: Tensor, b_enc: Tensor, weights: Weights) -> Tensor:
    """The bias of encoder rows for x as it is; a transcoder has no centre of its input among its weights."""
    return b_enc - W_enc @ weights["b_dec"] if "b_dec" in weights else b_enc


def _decoder_bias(weights: Weights) -> str:
    """The name of the decoder's bias."""
    return "b_dec" if "b_dec" in weights else "b_dec_out"


def masked_gradients(
    x: Float[Tensor, "token neuron"],
    target: Float[Tensor, "token neuron"],
    weights: Weights,
    rule: Rule,
    penalty: Penalty | None = None,
) -> Gradients:
    """Gradients of an SAE whose features are its active pre-activations themselves (ReLU, TopK, BatchTopK); what they
    pay is the term `penalty`."""
    active = search(x, weights, rule)
    by_weight, residual, slope, terms = decoder_gradients(target, weights, active, active.value)
    if penalty is not None:
        terms["penalty"] = add_penalty(by_weight, slope, weights, active, active.value, penalty, len(x))
    add_encoder_gradients(by_weight, x, weights, active, slope)
    return Gradients(by_weight, active, residual, terms)


def decoder_gradients(
    target: Float[Tensor, "token neuron"], weights: Weights, active: Entries, f: PerEntry
) -> tuple[Weights, Float[Tensor, "token neuron"], PerEntry, dict[str, Scalar]]:
    """Of the squared error alone: gradients of W_dec and of the decoder's bias as the decoder uses it, x̂ − target, the
    derivative by f, and the error as the term `squared_error`."""
    tokens = len(target)
    residual, slope = reconstruction(target, weights, active, f)
    by_weight = {
        "W_dec": active.outer(f, residual).mul_(2 / tokens),
        _decoder_bias(weights): residual.sum(0).mul_(2 / tokens),
    }
    squared_error = reading(residual.norm(dim=1).square().sum()) / tokens
    return by_weight, residual, slope, {"squared_error": squared_error}


def reconstruction(
    target: Float[Tensor, "token neuron"], weights: Weights, active: Entries, f: PerEntry
) -> tuple[Float[Tensor, "token neuron"], PerEntry]:
    """x̂ − target, and the derivative of its mean square by f."""
    residual = active.sums(f, weights["W_dec"]).add_(weights[_decoder_bias(weights)]).sub_(target)
    return residual, active.dots(residual, weights["W_dec"]).mul_(2 / len(target))


def add_penalty(
    by_weight: Weights, slope: PerEntry, weights: Weights, active: Entries, f: PerEntry, penalty: Penalty, tokens: int
) -> Scalar:
    """Add a penalty's derivatives to those by f and by W_dec; its per-token mean.

    The sizes that are penalised are f, or f · ‖W_dec‖ where the decoder's norms are free (`decoder_norm` among the
    weights), so that it does not pay to shrink f and to grow the decoder.
    """
    norm = weights.get("decoder_norm")
    if norm is None:
        paid = penalty(active, f)
        slope.add_(paid.slope, alpha=1 / tokens)
    else:
        by_entry = active.of_feature(norm)
        paid = penalty(active, f * by_entry)
        slope.add_(paid.slope * by_entry, alpha=1 / tokens)
        by_weight["W_dec"].addcmul_(weights["W_dec"], (active.per_feature(paid.slope * f) / norm / tokens)[:, None])
    return paid.mean


def add_encoder_gradients(
    by_weight: Weights, x: Float[Tensor, "token neuron"], weights: Weights, active: Entries, slope: PerEntry
) -> None:
    """Add the gradients of W_enc, b_enc and of b_dec as the encoder uses it, from those of the pre-activations.

    The gradient through x − b_dec is an outer product and a product with a vector; a transcoder has none.
    """
    total = active.per_feature(slope)
    by_weight["W_enc"] = active.outer(slope, x)
    by_weight["b_enc"] = total
    if "b_dec" in weights:
        by_weight["W_enc"].addr_(total, weights["b_dec"], alpha=-1)
        by_weight["b_dec"].addmv_(weights["W_enc"].T, total, alpha=-1)


def auxiliary_gradients(
    found: Gradients, x: Float[Tensor, "token neuron"], weights: Weights, dead: Tensor, k: int, weight: float
) -> Scalar:
    """Add the gradients of the AuxK loss (Gao et al. 2024, *Scaling and evaluating sparse autoencoders*); its value.

    The k largest of the dead features of each token predict what the others miss: weight · min(1, dead / k) ·
    ‖(target − x̂) − f_dead W_dec‖², in which x̂ is held fixed. `dead` are the numbers of the dead features.
    """
    if not len(dead):
        return 0.0
    W_enc, W_dec, tokens = weights["W_enc"][dead], weights["W_dec"][dead], len(x)
    pre = torch.addmm(_encoder_bias(W_enc, weights["b_enc"][dead], weights), x, W_enc.T)
    kept = pre.topk(min(k, len(dead)), dim=1, sorted=False).indices
    active = torch.zeros_like(pre, dtype=torch.bool).scatter_(1, kept, True) & (pre > 0)
    f = torch.where(active, pre, 0.0)
    missed = torch.addmm(found.residual, f, W_dec)
    weight *= min(1.0, len(dead) / k)
    factor = 2 * weight / tokens
    slope = torch.where(active, missed @ W_dec.T, 0.0).mul_(factor)
    total = slope.sum(0)
    grown = found.by_weight
    grown["W_dec"].index_add_(0, dead, (f.T @ missed).mul_(factor))
    by_row = slope.T @ x
    if "b_dec" in weights:
        by_row.addr_(total, weights["b_dec"], alpha=-1)
        grown["b_dec"].addmv_(W_enc.T, total, alpha=-1)
    grown["W_enc"].index_add_(0, dead, by_row)
    grown["b_enc"].index_add_(0, dead, total)
    return weight * reading(missed.square().sum()) / tokens
