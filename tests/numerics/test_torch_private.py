"""The private ways of torch against its public ones, and what they do without."""

import subprocess
import sys

import pytest
import torch

from polysem.numerics.torch_private import ONEDNN, ONEDNN_BFLOAT16, Adam, linear, onednn_linear

SHAPES = ((7, 5), (5,))
SETTINGS = {"betas": (0.9, 0.98), "weight_decay": 0.1}


def trained(make, steps=12, reloaded_at=6):
    """Weights after some steps on random gradients, the optimiser's state saved and loaded on the way."""
    weights = [torch.ones(shape, requires_grad=True) for shape in SHAPES]
    optimiser = make(weights)
    for step in range(steps):
        optimiser.zero_grad()
        for number, weight in enumerate(weights):
            assert weight.grad is None
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(2 * step + number))
        optimiser.param_groups[0]["lr"] = 0.01 * (step + 1)
        optimiser.step()
        if step == reloaded_at:
            state = optimiser.state_dict()
            optimiser = make(weights)
            optimiser.load_state_dict(state)
    return weights


@pytest.mark.parametrize("kernels", ["fused", "foreach"])
@pytest.mark.parametrize(("peer", "decoupled"), [(torch.optim.Adam, False), (torch.optim.AdamW, True)])
def test_it_has_the_bits_of_torchs(peer, decoupled, kernels):
    ours = trained(lambda weights: Adam(weights, decoupled_weight_decay=decoupled, **SETTINGS, **{kernels: True}))
    theirs = trained(lambda weights: peer(weights, **SETTINGS, **{kernels: True}))
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], torch.ones(SHAPES[0]))


def test_a_step_does_not_end_up_in_the_graph():
    weight = torch.ones(3, requires_grad=True)
    optimiser = Adam([weight], fused=True)
    weight.grad = torch.ones(3)
    optimiser.step()
    assert weight.is_leaf
    assert weight.requires_grad


def test_it_imports_no_compiler():
    code = (
        "import sys, torch; from polysem.numerics.torch_private import Adam;"
        "weight = torch.ones(3, requires_grad=True);"
        "optimiser = Adam([weight], fused=True); weight.sum().backward(); optimiser.step(); optimiser.zero_grad();"
        "optimiser.load_state_dict(optimiser.state_dict());"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not ONEDNN, reason="this build of torch has no oneDNN")
@pytest.mark.parametrize("dtype", [torch.float32, *([torch.bfloat16] if ONEDNN_BFLOAT16 else [])])
def test_the_private_product_is_the_public_one(dtype):
    generator = torch.Generator().manual_seed(0)
    x, weights, bias = (torch.randn(shape, generator=generator).to(dtype) for shape in ((5, 7), (3, 7), (3,)))
    torch.testing.assert_close(onednn_linear(x, weights, bias), linear(x, weights, bias))
