"""Transcoders of ours against a plain trainer: equal rows, batches, steps, width and L0; explained variance of the
target on eval rows that neither has seen.

    python benchmarks/transcoders.py results/activations/stories-2l blocks.1.mlp.hook_in blocks.1.hook_mlp_out [CASE …]

The plain trainer is a page of PyTorch in autograd, with torch's Adam, biases and no centring, and a skip connection
that starts at 0: ReLU with an L1 penalty of f times the decoder's norm, and BatchTopK, whose L0 needs no search. It has
the same rows in the same order, the better of two rates, and for ReLU the explained variance that lies, at our L0,
between those of three weights of its penalty. Ours are defaults but for L0, the rate, and what is given to both; our
JumpReLU is held against its BatchTopK, too. A CASE, as relu-skip-0, runs alone.
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from polysem.activations.paired import PairedRows
from polysem.params.study import section_class
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer

TOKENS, BATCH, EXPANSION, L0, RATE, RATES = 65_536, 256, 4, 12, 3e-3, (1e-3, 3e-3)
WEIGHTS = (0.3, 1.0, 3.0)


def encoded(x, w, kind, least=None):
    """Features; of BatchTopK above a threshold, or the L0 of each token's largest on average of a batch."""
    pre = (x @ w["W_enc"] + w["b_enc"]).relu()
    if kind == "relu":
        return pre
    least = pre.flatten().kthvalue(pre.numel() - L0 * len(x)).values if least is None else least
    return pre * (pre > least)


def predicted(x, f, w):
    return f @ w["W_dec"] + w["b_dec"] + (x @ w["W_skip"].T if "W_skip" in w else 0.0)


def plain(batches, kind, skip, rate, weight, seed):
    """Weights after a step on each batch, of rows with a mean norm of √neurons."""
    torch.manual_seed(seed)
    x, y = batches[0]
    features = EXPANSION * x.shape[1]
    w = {
        "W_enc": F.normalize(torch.randn(x.shape[1], features), dim=0),
        "b_enc": torch.zeros(features),
        "W_dec": F.normalize(torch.randn(features, y.shape[1]), dim=1),
        "b_dec": y.mean(0),
    } | ({"W_skip": torch.zeros(y.shape[1], x.shape[1])} if skip else {})
    w = {name: tensor.clone().requires_grad_() for name, tensor in w.items()}
    optimiser = torch.optim.Adam(w.values(), betas=(0.9, 0.999))
    for step, (x, y) in enumerate(batches):
        share = step / len(batches)
        optimiser.param_groups[0]["lr"] = rate * min(1.0, (share + 1e-3) / 0.05, (1 - share) / 0.2)
        f = encoded(x, w, kind)
        paid = (f * w["W_dec"].norm(dim=1)).sum(1).mean() if kind == "relu" else 0.0
        loss = (predicted(x, f, w) - y).square().sum(1).mean() + weight * min(1.0, share / 0.1) * paid
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        optimiser.step()
    return {name: tensor.detach() for name, tensor in w.items()}


def score(y, predicted_y, f):
    return float((f > 0).sum() / len(f)), float(1 - (y - predicted_y).square().sum() / (y - y.mean(0)).square().sum())


def best_of_plain(batches, held, kind, skip, seed, l0):
    """Explained variance at our L0, at the rate that reaches most; NaN where no weight comes to it."""
    scales = [part.shape[1] ** 0.5 / part.norm(dim=1).mean() for part in batches[0]]
    batches = [tuple(part * scale for part, scale in zip(pair, scales, strict=True)) for pair in batches]
    (x, y), found = (part * scale for part, scale in zip(held, scales, strict=True)), []
    for rate in RATES:
        curve = []
        for weight in WEIGHTS if kind == "relu" else (0.0,):
            w = plain(batches, kind, skip, rate, weight, seed)
            sample = (torch.cat([pair[0] for pair in batches[-16:]]) @ w["W_enc"] + w["b_enc"]).flatten()
            f = encoded(x, w, kind, sample.kthvalue(sample.numel() - L0 * 16 * BATCH).values)
            curve.append(score(y, predicted(x, f, w), f))
        active, explained = np.array(sorted(curve)).T
        if kind != "relu" or active[0] <= l0 <= active[-1]:
            found.append(float(np.interp(np.log(l0), np.log(active), explained)))
        print("   ", rate, [(round(a, 1), round(e, 4)) for a, e in sorted(curve)], flush=True)
    return max(found, default=float("nan"))


def main() -> None:
    folder, sites, cases = sys.argv[1], sys.argv[2:4], sys.argv[4:]
    torch.set_num_threads(1)
    train, held = ([Path(folder) / site / f"{split}.zarr" for site in sites] for split in ("train", "eval"))
    rows, begun = PairedRows(*held), time.perf_counter()
    pairs = torch.from_numpy(rows.gather(np.arange(rows.length)))
    for kind, skip, seed in itertools.product(("jumprelu", "batchtopk", "relu"), (False, True), (0, 1)):
        name = f"{kind}{'-skip' if skip else ''}-{seed}"
        if cases and name not in cases:
            continue
        keys = {"target": sites[1], "skip": skip, "seed": seed, "tokens": TOKENS, "batch_size": BATCH}
        keys |= {"architecture": kind, "expansion": EXPANSION, "learning_rate": RATE}
        keys |= {"k": L0} if kind == "batchtopk" else {"target_l0": L0}
        recipe = section_class("saes", kind).model_validate(keys)
        source = StoredRows(train[0], BATCH, seed, train[1])
        trainer = Trainer(recipe, source)
        for _ in range(trainer.steps):
            trainer.advance()
        width, ours = [rows.width, pairs.shape[1] - rows.width], trainer.finished()
        x, y = pairs.split(width, dim=1)
        f = ours.encode(x)
        l0, explained = score(y, ours.reconstruct(x, f), f)
        print(f"{name:16} L0 {l0:.1f} ours {explained:.4f}", flush=True)
        batches = [source.batch(step).split(width, dim=1) for step in range(trainer.steps)]
        theirs = best_of_plain(batches, (x, y), "relu" if kind == "relu" else "batchtopk", skip, seed, l0)
        print(f"{name:16} L0 {l0:.1f} ours {explained:.4f} plain {theirs:.4f}", flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
