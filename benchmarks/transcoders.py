"""Transcoders of ours against a plain trainer: equal rows, batches, steps, width and L0; explained variance of the
target on eval rows that neither has seen.

    python benchmarks/transcoders.py results/activations/stories-2l blocks.1.mlp.hook_in blocks.1.hook_mlp_out

The plain trainer is a page of PyTorch: JumpReLU with straight-through gradients (Rajamanoharan et al. 2024) or ReLU
with an L1 penalty, autograd, torch's Adam, biases and no centring, a skip connection that starts at 0. It has the same
rows in the same order, the better of two rates, and the explained variance that lies, at our L0, between those of three
weights of its penalty. Ours are defaults but for `target_l0`, the rate, and what is given to both.
"""

import itertools
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from polysem.activations.paired import PairedRows
from polysem.params.study import section_class
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer

TOKENS, BATCH, EXPANSION, L0, RATE, RATES, BANDWIDTH = 65_536, 256, 4, 12, 3e-3, (1e-3, 3e-3), 0.5
WEIGHTS = {"jumprelu": (0.1, 0.3, 0.9), "relu": (0.5, 1.5, 4.5)}


class Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pre, theta):
        ctx.save_for_backward(pre, theta)
        return pre * (pre > theta), (pre > theta).to(pre.dtype)

    @staticmethod
    def backward(ctx, by_f, by_on):
        pre, theta = ctx.saved_tensors
        near = ((pre - theta).abs() < BANDWIDTH / 2).to(pre.dtype) / BANDWIDTH
        return by_f * (pre > theta), -(near * (theta * by_f + by_on)).sum(0)


def encoded(x, w, kind):
    pre = x @ w["W_enc"] + w["b_enc"]
    if kind == "relu":
        return pre.relu(), pre.relu() * w["W_dec"].norm(dim=1)
    f, on = Jump.apply(pre, w["log_theta"].exp())
    return f.relu(), on


def predicted(x, f, w):
    return f @ w["W_dec"] + w["b_dec"] + (x @ w["W_skip"].T if "W_skip" in w else 0.0)


def plain(batches, kind, skip, rate, weight, seed):
    """Weights after a step on each batch, of rows with a mean norm of √neurons."""
    torch.manual_seed(seed)
    x, y = batches[0]
    width, outputs = x.shape[1], y.shape[1]
    features = EXPANSION * width
    W_dec = F.normalize(torch.randn(features, outputs), dim=1)
    w = {"W_enc": F.normalize(torch.randn(width, features), dim=0), "b_enc": torch.zeros(features), "W_dec": W_dec}
    w |= {"b_dec": y.mean(0), **({"W_skip": torch.zeros(outputs, width)} if skip else {})}
    w |= {} if kind == "relu" else {"log_theta": torch.full((features,), np.log(0.1).item())}
    w = {name: tensor.clone().requires_grad_() for name, tensor in w.items()}
    optimiser = torch.optim.Adam(w.values(), betas=(0.9, 0.999))
    for step, (x, y) in enumerate(batches):
        share = step / len(batches)
        optimiser.param_groups[0]["lr"] = rate * min(1.0, (share + 1e-3) / 0.05, (1 - share) / 0.2)
        f, paid = encoded(x, w, kind)
        loss = (predicted(x, f, w) - y).square().sum(1).mean() + weight * min(1.0, share / 0.1) * paid.sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        optimiser.step()
    return {name: tensor.detach() for name, tensor in w.items()}


def score(y, predicted_y, f):
    return float(1 - (y - predicted_y).square().sum() / (y - y.mean(0)).square().sum()), float((f > 0).sum() / len(f))


def best_of_plain(source, held, steps, kind, skip, seed, l0):
    """Explained variance at our L0, between those of weights around it, at the rate that reaches most."""
    width = source.width
    batches = [source.batch(step).split([width, source.batch(0).shape[1] - width], dim=1) for step in range(steps)]
    scales = [part.shape[1] ** 0.5 / part.norm(dim=1).mean() for part in batches[0]]
    batches = [tuple(part * scale for part, scale in zip(pair, scales, strict=True)) for pair in batches]
    x, y = (part * scale for part, scale in zip(held, scales, strict=True))
    found = []
    for rate in RATES:
        curve = []
        for weight in WEIGHTS[kind]:
            w = plain(batches, kind, skip, rate, weight, seed)
            f = encoded(x, w, kind)[0]
            curve.append(score(y, predicted(x, f, w), f)[::-1])
        active, explained = np.array(sorted(curve)).T
        if active[0] <= l0 <= active[-1]:
            found.append(float(np.interp(np.log(l0), np.log(active), explained)))
        print("   ", rate, [(round(a, 1), round(e, 4)) for a, e in sorted(curve)], flush=True)
    return max(found, default=float("nan"))


def main() -> None:
    folder, *sites = sys.argv[1:]
    torch.set_num_threads(1)
    train, held = ([Path(folder) / site / f"{split}.zarr" for site in sites] for split in ("train", "eval"))
    rows = PairedRows(*held)
    pairs = torch.from_numpy(rows.gather(np.arange(rows.length)))
    x, y = pairs.split([rows.width, pairs.shape[1] - rows.width], dim=1)
    begun = time.perf_counter()
    for kind, skip, seed in itertools.product(("jumprelu", "relu"), (False, True), (0, 1)):
        keys = {"target": sites[1], "skip": skip, "target_l0": L0, "seed": seed, "tokens": TOKENS, "batch_size": BATCH}
        keys |= {"architecture": kind, "expansion": EXPANSION, "learning_rate": RATE}
        recipe = section_class("saes", kind).model_validate(keys)
        source = StoredRows(train[0], BATCH, seed, train[1])
        trainer = Trainer(import_module(f"polysem.saes.architectures.{kind}").Method(recipe), recipe, source)
        for _ in range(trainer.steps):
            trainer.advance()
        ours, f = trainer.finished(), trainer.finished().encode(x)
        explained, l0 = score(y, ours.reconstruct(x, f), f)
        theirs = best_of_plain(source, (x, y), trainer.steps, kind, skip, seed, l0)
        print(f"{kind:8} skip={skip!s:5} seed={seed} L0 {l0:.1f} ours {explained:.4f} plain {theirs:.4f}", flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
