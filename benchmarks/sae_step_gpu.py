"""One SAE training step on a GPU, as a share of the card's measured bfloat16 matmul peak, and against compiled PyTorch.

`python benchmarks/sae_step_gpu.py` prints, for n 2048 and m 32768, the peak of a large matmul, the share of it that a
step reaches (counting the five products of a dense step: encoder, decoder, gradient of the features, and of both
weights, though most of ours run over active entries alone), and how many times faster it is than a plain step under
`torch.compile` and bfloat16 autocast. The rows are on the card. Ours refuses
kernels whose results vary, as in the workflow; the plain step may use any. `--profile` adds which kernels our step
spends its time in. `--device cpu` with small sizes tries the script where no GPU is.
"""

import argparse
import os
import statistics
import time

import torch
import torch.nn.functional as F
from sae_step import KEYS, Batches, activations

from polysem.numerics.determinism import require_deterministic_kernels
from polysem.params.study import section_class
from polysem.saes.trainer import Trainer

PRODUCTS = 5
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses cuBLAS where it must not vary


def timed(step, device, rounds):
    """Median seconds of a step."""
    for _ in range(3):
        step()
    times = []
    for _ in range(rounds):
        if device == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def matmul_peak(device, size):
    """Floating-point operations per second of a square bfloat16 product."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / timed(lambda: left @ right, device, 20)


def ours(x, start, architecture, device):
    values = {"architecture": architecture, "expansion": len(start["W_dec"]) // x.shape[1], "tokens": 10**9}
    values |= {"batch_size": len(x), "learning_rate": 1e-9, "normalize_activations": False, **KEYS[architecture]}
    recipe = section_class("saes", architecture).model_validate(values)
    trainer = Trainer(recipe, Batches(x.to(device)), device=device)
    for name, tensor in start.items():
        trainer.weights[name].copy_(tensor)
    trainer.weights["b_dec"].zero_()
    return trainer.advance


def compiled(x, start, architecture, device):
    leaves = {name: tensor.to(device).requires_grad_() for name, tensor in start.items()}
    leaves["b_dec"] = torch.zeros(x.shape[1], requires_grad=True, device=device)
    optimiser = torch.optim.Adam(list(leaves.values()), lr=1e-9, fused=True)
    k, x = KEYS[architecture].get("k"), x.to(device)

    @torch.compile
    def loss_of():
        with torch.autocast(device, torch.bfloat16):
            f = ((x - leaves["b_dec"]) @ leaves["W_enc"].T + leaves["b_enc"]).relu()
            if k:
                values, indices = f.topk(k, dim=1, sorted=False)
                f = torch.zeros_like(f).scatter(1, indices, values)
            return (f @ leaves["W_dec"] + leaves["b_dec"] - x).square().sum(1).mean()

    def step():
        optimiser.zero_grad()
        with torch.enable_grad():
            loss_of().backward()
        optimiser.step()
        with torch.no_grad():
            leaves["W_dec"].copy_(F.normalize(leaves["W_dec"], dim=1))

    return step


def profiled(step, device):
    """A table of the kernels of three steps, the longest first."""
    activities = [getattr(torch.profiler.ProfilerActivity, name) for name in ("CPU", device.upper())]
    with torch.profiler.profile(activities=set(activities)) as profile:
        for _ in range(3):
            step()
    order = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    return profile.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=70)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--neurons", type=int, default=2048)
    parser.add_argument("--features", type=int, default=32768)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--square", type=int, default=8192, help="size of the product that gives the peak")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU is there; --device cpu with small sizes tries the script")
    torch.set_grad_enabled(False)
    device, rounds = arguments.device, arguments.rounds
    peak = matmul_peak(device, arguments.square)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"{name}, torch {torch.__version__}; peak of a bfloat16 product: {peak / 1e12:.2f} TFLOP/s", flush=True)
    x, start = activations(arguments.neurons, arguments.features, arguments.tokens)
    operations = PRODUCTS * 2 * arguments.tokens * arguments.neurons * arguments.features
    for architecture in KEYS:
        require_deterministic_kernels()
        step = ours(x, start, architecture, device)
        spent = timed(step, device, rounds)
        print(f"{architecture}: {1000 * spent:.2f} ms, {operations / spent / peak:.2f} of the peak", flush=True)
        if arguments.profile:
            print(profiled(step, device), flush=True)
        torch.use_deterministic_algorithms(False)
        plain = timed(compiled(x, start, architecture, device), device, rounds)
        print(
            f"{architecture}: {plain / spent:.2f} times faster than compiled PyTorch ({1000 * plain:.2f} ms)",
            flush=True,
        )


if __name__ == "__main__":
    main()
