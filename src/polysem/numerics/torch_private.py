"""All that is used of torch without being part of its public interface, each with the public way that gives the same.

torch is pinned; whoever moves the pin looks here. docs/performance.md says what the private ways save.
"""

from inspect import unwrap

import torch
from jaxtyping import Float
from torch import Tensor

ONEDNN = torch.backends.mkldnn.is_available()
ONEDNN_BFLOAT16 = ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()
"""oneDNN refuses bfloat16 on a CPU that has no instructions for it or for AVX-512. torch has no public question for it;
`linear` is right everywhere."""


def onednn_linear(
    x: Float[Tensor, "token neuron"], weights: Float[Tensor, "feature neuron"], bias: Float[Tensor, " feature"]
) -> Float[Tensor, "token feature"]:
    """What torch's compiler makes of a linear layer on a CPU: the bias costs no pass of its own. Public: `linear`."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weights, bias, "none", [], "")
    return product


def linear(
    x: Float[Tensor, "token neuron"], weights: Float[Tensor, "feature neuron"], bias: Float[Tensor, " feature"]
) -> Float[Tensor, "token feature"]:
    """A linear layer by torch's public interface."""
    return torch.addmm(bias, x, weights.T)


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, to the bit, without its guards against being compiled, which import torch's compiler at the
    first call. Public: `torch.optim.Adam`."""

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))
