"""Exact gradients of an SAE whose features are masked pre-activations (ReLU, TopK), with one dense matmul.

A token has a few dozen active features of thousands. Only the search for them needs the dense product x W_enc;
decoding, the gradient at active features and both weight gradients run over the list of active entries. Where many
features are active, as at the start of training with an L1 penalty, the dense form of the same gradients is faster and
is taken.

Loss per token: ‖x − x̂‖² + penalty(f), with f = mask(pre) · pre, pre = (x − b_dec) W_enc + b_enc, x̂ = f W_dec + b_dec.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

ROWS_PER_CHUNK = 256
"""Tokens per block of pre-activations: these then stay in the cache and are never all in memory."""
DENSE_ABOVE = 0.14
"""Share of active entries above which the dense form is faster, measured on a CPU in float32."""

Select = Callable[[Float[Tensor, "row feature"]], Int[Tensor, " entry"]]
"""Flat indices, ascending within a row and row by row, of the active entries of a block of pre-activations."""
PerEntry = Callable[[Float[Tensor, " entry"]], Float[Tensor, " entry"]]

_dot_with_rows = torch.ops.aten._embedding_bag_per_sample_weights_backward


@dataclass(frozen=True)
class Penalty:
    """What is added to the squared error of a token for each of its active features."""

    value: PerEntry
    """The penalty by the value of the feature."""
    slope: PerEntry
    """Its derivative."""


@dataclass(frozen=True)
class Active:
    """The active entries of a batch, row by row."""

    row: Int[Tensor, " entry"]
    feature: Int[Tensor, " entry"]
    value: Float[Tensor, " entry"]


@dataclass(frozen=True)
class Gradients:
    """Gradients of the mean loss, in the shapes of the weights (rows are features), with what the step saw."""

    W_enc: Float[Tensor, "feature neuron"]
    b_enc: Float[Tensor, " feature"]
    W_dec: Float[Tensor, "feature neuron"]
    b_dec: Float[Tensor, " neuron"]
    active: Active
    squared_error: float
    """Mean over tokens."""
    penalty: float
    """Mean over tokens."""


def active_entries(
    x: Float[Tensor, "token neuron"],
    W_enc: Float[Tensor, "feature neuron"],
    bias: Float[Tensor, " feature"],
    select: Select,
) -> Active:
    """The active entries of x W_encᵀ + bias, in blocks of tokens."""
    features = len(W_enc)
    found, values = [], []
    for start in range(0, len(x), ROWS_PER_CHUNK):
        pre = torch.addmm(bias, x[start : start + ROWS_PER_CHUNK], W_enc.T)
        hit = select(pre)
        found.append(hit + start * features)
        values.append(pre.view(-1)[hit])
    flat = torch.cat(found)
    row = flat.div(features, rounding_mode="floor")
    return Active(row, flat - row * features, torch.cat(values))


def gradients(
    x: Float[Tensor, "token neuron"],
    W_enc: Float[Tensor, "feature neuron"],
    b_enc: Float[Tensor, " feature"],
    W_dec: Float[Tensor, "feature neuron"],
    b_dec: Float[Tensor, " neuron"],
    select: Select,
    penalty: Penalty,
) -> Gradients:
    """Gradients of the mean over tokens of squared error and penalty; equal to autograd's up to rounding."""
    active = active_entries(x, W_enc, b_enc - W_enc @ b_dec, select)
    share = len(active.value) / (len(x) * len(W_enc))
    form = _dense if share > DENSE_ABOVE else _sparse
    W_enc_gradient, b_enc_gradient, W_dec_gradient, residual = form(x, W_dec, b_dec, active, penalty, len(W_enc))
    # b_dec is also inside the encoder: its part of the gradients is an outer product and a matrix times a vector
    W_enc_gradient.addr_(b_enc_gradient, b_dec, alpha=-1)
    b_dec_gradient = residual.sum(0).addmv_(W_enc.T, b_enc_gradient, alpha=-1)
    squared_error = residual.square().sum().item() * len(x) / 4
    paid = penalty.value(active.value).sum().item() / len(x)
    return Gradients(W_enc_gradient, b_enc_gradient, W_dec_gradient, b_dec_gradient, active, squared_error, paid)


def _sparse(
    x: Tensor, W_dec: Tensor, b_dec: Tensor, active: Active, penalty: Penalty, features: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    tokens = len(x)
    by_row = _offsets(active.row, tokens)
    x_hat = F.embedding_bag(active.feature, W_dec, by_row, mode="sum", per_sample_weights=active.value)
    residual = x_hat.add_(b_dec).sub_(x).mul_(2 / tokens)
    d_value = _dot_with_rows(residual, W_dec, active.feature, by_row, active.row, 0)
    d_value.add_(penalty.slope(active.value), alpha=1 / tokens)
    order = torch.argsort(active.feature, stable=True)
    row, by_feature = active.row[order], _offsets(active.feature[order], features)
    W_dec_gradient = F.embedding_bag(row, residual, by_feature, mode="sum", per_sample_weights=active.value[order])
    W_enc_gradient = F.embedding_bag(row, x, by_feature, mode="sum", per_sample_weights=d_value[order])
    b_enc_gradient = torch.zeros(features).index_add_(0, active.feature, d_value)
    return W_enc_gradient, b_enc_gradient, W_dec_gradient, residual


def _dense(
    x: Tensor, W_dec: Tensor, b_dec: Tensor, active: Active, penalty: Penalty, features: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    tokens = len(x)
    flat = active.row * features + active.feature
    f = torch.zeros(tokens * features)
    f[flat] = active.value
    f = f.view(tokens, features)
    residual = torch.addmm(b_dec, f, W_dec).sub_(x).mul_(2 / tokens)
    d_value = (residual @ W_dec.T).view(-1)[flat].add_(penalty.slope(active.value), alpha=1 / tokens)
    d_pre = torch.zeros(tokens * features)
    d_pre[flat] = d_value
    d_pre = d_pre.view(tokens, features)
    return d_pre.T @ x, d_pre.sum(0), f.T @ residual, residual


def _offsets(ascending: Int[Tensor, " entry"], count: int) -> Int[Tensor, " bag"]:
    """Where each of `count` bags begins in a list of ascending bag numbers."""
    starts = torch.zeros(count, dtype=torch.int64)
    torch.cumsum(torch.bincount(ascending, minlength=count)[:-1], 0, out=starts[1:])
    return starts
