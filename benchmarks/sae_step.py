"""Gradients of one SAE step: ours against plain autograd on the same batch, in one process, interleaved, medians.

`python benchmarks/sae_step.py` prints, for a ReLU with an L1 penalty and for TopK, how many times faster ours are, and
how far they are from float64.
"""

import statistics
import time
from importlib import import_module

import torch
import torch.nn.functional as F

from polysem.params.study import section_class
from polysem.saes.gradients import gradients
from polysem.saes.sae import SAE

ROUNDS = 7
TOKENS = 1024


def batch_and_weights(neurons, features):
    generator = torch.Generator().manual_seed(0)
    W_dec = F.normalize(torch.randn(features, neurons, generator=generator), dim=1)
    chosen = torch.randint(0, features, (TOKENS, 30), generator=generator)
    strength = torch.rand(TOKENS, 30, generator=generator) + 0.5
    x = F.embedding_bag(chosen, W_dec, mode="sum", per_sample_weights=strength)
    b_dec = 0.01 * torch.randn(neurons, generator=generator)
    quantile = torch.quantile((x[:256] @ W_dec.T).flatten()[:1_000_000], 1 - 35 / features)
    weights = {"W_enc": W_dec.clone(), "b_enc": -quantile.expand(features).clone(), "W_dec": W_dec, "b_dec": b_dec}
    return x, weights


def autograd(x, weights, kind, recipe):
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    sae = SAE(leaves["W_enc"].T, leaves["b_enc"], leaves["W_dec"], leaves["b_dec"], kind.activation(recipe))
    f = sae.encode(x)
    penalty = kind.penalty(recipe, 1.0).value(f).sum() / len(x)
    loss = (sae.decode(f) - x).square().sum(-1).mean() + penalty
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def measure(architecture, keys, neurons, features):
    kind = import_module(f"polysem.saes.architectures.{architecture}")
    recipe = section_class("saes", architecture).model_validate({"architecture": architecture, **keys})
    x, weights = batch_and_weights(neurons, features)
    select, penalty = kind.select(recipe), kind.penalty(recipe, 1.0)
    ways = {
        "autograd": lambda: autograd(x, weights, kind, recipe),
        "ours": lambda: gradients(x, **weights, select=select, penalty=penalty),
        "encoder matmul": lambda: torch.addmm(weights["b_enc"], x, weights["W_enc"].T),
    }
    times = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            if round_number:
                times[name].append(time.perf_counter() - begun)
    median = {name: statistics.median(values) for name, values in times.items()}
    exact = autograd(x.double(), {name: tensor.double() for name, tensor in weights.items()}, kind, recipe)
    found = ways["ours"]()
    error = max(float((getattr(found, name) - value).norm() / value.norm()) for name, value in exact.items())
    active = len(found.active.value) / len(x)
    print(
        f"{architecture:5} n={neurons} m={features} L0={active:.0f}: {median['autograd'] / median['ours']:.1f} times "
        f"faster than autograd, {median['ours'] / median['encoder matmul']:.2f} of the encoder matmul alone, "
        f"relative error {error:.1e}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for neurons, features in ((512, 4096), (2048, 16384)):
        measure("relu", {"l1": 0.5}, neurons, features)
        measure("topk", {"k": 32}, neurons, features)
