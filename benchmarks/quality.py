"""SAEs of this package against those of its peers: the same stored activations, budget and evaluation.

    python benchmarks/quality.py train --activations STORE --output FOLDER [--only LIBRARY] [--seed 0]
    python benchmarks/quality.py judge --activations STORE --model FOLDER --tokens STORE --output FOLDER

`train` trains every SAE of `PLAN` whose library is installed and writes each as a SAELens folder; a missing library is
named and left out. `judge` splices them into the model with the package's own code and prints the table of
docs/results.md, with each family's loss recovered and explained variance interpolated to equal L0. The two may
run under two Pythons, since SAELens asks for another transformer_lens than this package does. Peers come with
`benchmarks/peers.txt`.

What is equal: rows and their order, batch, steps, width, Adam with `beta1` 0.9 and `beta2` 0.999, a linear warm-up
over 5 % and a linear decay over the last 20 % of the steps, for penalties a warm-up over 10 %, activations scaled to a
mean norm of √neurons. The rest is each library's own: initial weights, first b_dec, clipping, treatment of dead
features, and decoder norms; `ours_free` is this package with b_dec, clipping and norms as in SAELens, for ReLU. The
same learning rates are tried for each, see `RATES`; all of them take hours on a laptop, `--rate`, `--architecture` and
`--value` choose some. Several seeds are several calls of `train` with the same output.
"""

import argparse
import json
import sys
import time
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from polysem.activations.rows import ActivationRows
from polysem.params.study import section_class
from polysem.saes.activation_functions import jumprelu, standard, topk
from polysem.saes.sae import SAE, load_sae, save_sae
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer, activation_scale

EXPANSION, BATCH, TOKENS = 4, 512, 500_000
WARMUP, DECAY, PENALTY_WARMUP = 0.05, 0.2, 0.1
RATES = (1e-3, 2e-3, 5e-3)
"""All are tried; a family's line in the comparison takes the best one of each library."""
L1 = (1.4, 2.5, 4.2, 7.0)
K = (16, 32, 64)
FREE = {"start": "independent", "decoder_norm": "free", "decoder_start": 0.1, "clip_norm": 1.0}
"""What `ours_free` adds: the choices of SAELens for ReLU."""
LIBRARIES = {
    "ours": "polysem",
    "ours_free": "polysem",
    "sae_lens": "sae-lens",
    "dictionary_learning": "dictionary-learning",
}
ARCHITECTURES = ("relu", "topk", "batchtopk")


class Rows:
    """The rows of a store in the order of our trainer, scaled, as an endless iterator for the peers."""

    def __init__(self, store, seed):
        self.source, self.step = StoredRows(store, BATCH, seed), 0
        self.scale = activation_scale(self.source.sample(16_384, seed))

    def __iter__(self):
        return self

    def __next__(self):
        x = self.source.batch(self.step) * self.scale
        self.step += 1
        return x


def plan():
    for architecture in ARCHITECTURES:
        for rate in RATES:
            for value in L1 if architecture == "relu" else K:
                yield architecture, rate, value


def ours(store, architecture, rate, value, seed, options=None):
    recipe = section_class("saes", architecture).model_validate(
        {
            "architecture": architecture,
            "l1" if architecture == "relu" else "k": value,
            "expansion": EXPANSION,
            "tokens": TOKENS,
            "batch_size": BATCH,
            "learning_rate": rate,
            "seed": seed,
        }
        | (options or {})
    )
    method = import_module(f"polysem.saes.architectures.{architecture}").Method(recipe)
    trainer = Trainer(method, recipe, StoredRows(store, BATCH, seed))
    while trainer.step < trainer.steps:
        trainer.advance()
    return trainer.finished()


def ours_free(store, architecture, rate, value, seed):
    return ours(store, architecture, rate, value, seed, FREE)


def sae_lens(store, architecture, rate, value, seed):
    import sae_lens as peer
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    rows, steps = Rows(store, seed), TOKENS // BATCH
    width = rows.source.width
    shape = {"d_in": width, "d_sae": EXPANSION * width}
    torch.manual_seed(seed)
    if architecture == "relu":
        config = peer.StandardTrainingSAEConfig(
            **shape, l1_coefficient=value, l1_warm_up_steps=int(PENALTY_WARMUP * steps)
        )
        sae = peer.StandardTrainingSAE(config)
    elif architecture == "topk":
        sae = peer.TopKTrainingSAE(peer.TopKTrainingSAEConfig(**shape, k=value))
    else:
        sae = peer.BatchTopKTrainingSAE(peer.BatchTopKTrainingSAEConfig(**shape, k=value))
    settings = SAETrainerConfig(
        total_training_samples=steps * BATCH,
        train_batch_size_samples=BATCH,
        lr=rate,
        lr_end=rate,
        lr_warm_up_steps=int(WARMUP * steps),
        lr_decay_steps=int(DECAY * steps),
        dead_feature_window=200,  # a fifth of the steps; the default, 1000, is all of them
        logger=LoggingConfig(log_to_wandb=False),
    )
    SAETrainer(cfg=settings, sae=sae, data_provider=rows).fit()
    if architecture == "batchtopk":
        threshold = torch.full((shape["d_sae"],), float(sae.topk_threshold))
        function = jumprelu.Function(threshold)
    else:
        function = topk.Function(value) if architecture == "topk" else standard.Function()
    tensors = {name: tensor.detach().clone() for name, tensor in sae.named_parameters()}
    # With rescaled activations k is chosen by f · ‖W_dec‖, so the norms are folded into the encoder in all three.
    norm = tensors["W_dec"].norm(dim=1)
    return unscaled(
        SAE(
            tensors["W_enc"] * norm,
            tensors["b_enc"] * norm,
            tensors["W_dec"] / norm[:, None],
            tensors["b_dec"],
            activation=function,
        ),
        rows.scale,
    )


def dictionary_learning(store, architecture, rate, value, seed):
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.standard import StandardTrainer
    from dictionary_learning.trainers.top_k import TopKTrainer

    rows, steps = Rows(store, seed), TOKENS // BATCH
    width = rows.source.width
    common = {
        "steps": steps,
        "activation_dim": width,
        "dict_size": EXPANSION * width,
        "layer": 1,
        "lm_name": "model",
        "lr": rate,
        "warmup_steps": int(WARMUP * steps),
        "decay_start": int((1 - DECAY) * steps),
        "seed": seed,
        "device": "cpu",
    }
    if architecture == "relu":
        trainer = StandardTrainer(**common, l1_penalty=value, sparsity_warmup_steps=int(PENALTY_WARMUP * steps))
    else:
        kind = TopKTrainer if architecture == "topk" else BatchTopKTrainer
        trainer = kind(**common, k=value, threshold_start_step=steps // 10, threshold_beta=0.99)
    for step in range(steps):
        trainer.update(step, next(rows))
    state = {name: tensor.detach().clone() for name, tensor in trainer.ae.state_dict().items()}
    if architecture == "relu":
        function = standard.Function()
    elif architecture == "topk":
        function = topk.Function(value)
    else:
        function = jumprelu.Function(torch.full((EXPANSION * width,), float(state["threshold"])))
    bias = state["bias"] if architecture == "relu" else state["b_dec"]
    weights = (state["encoder.weight"].T, state["encoder.bias"], state["decoder.weight"].T.contiguous(), bias)
    return unscaled(SAE(*weights, activation=function), rows.scale)


def unscaled(sae, scale):
    """The SAE for activations as they are, with the same folding as that of our trainer."""
    factor = 1 / scale
    function = sae.activation.scaled(factor)
    return SAE(sae.W_enc.contiguous(), sae.b_enc * factor, sae.W_dec, sae.b_dec * factor, activation=function)


def train(arguments):
    for library, package in LIBRARIES.items():
        if arguments.only not in (None, library):
            continue
        if not find_spec(package.replace("-", "_")):
            print(f"{library} is not installed; left out")
            continue
        for architecture, rate, value in plan():
            wanted = (arguments.architecture, arguments.rate, arguments.value)
            if any(want not in (None, here) for want, here in zip(wanted, (architecture, rate, value), strict=True)):
                continue
            if library == "ours_free" and architecture != "relu":
                continue
            folder = arguments.output / f"{library}_{architecture}_{rate:g}_{value:g}_{arguments.seed}"
            if (folder / "cfg.json").exists():
                continue
            begun = time.monotonic()
            sae = globals()[library](arguments.activations, architecture, rate, value, arguments.seed)
            seconds = time.monotonic() - begun
            metadata = {
                "library": library,
                "version": version(package) if package != "polysem" else "",
                "architecture": architecture,
                "rate": rate,
                "value": value,
                "seed": arguments.seed,
            }
            save_sae(sae, folder, metadata, None)
            print(f"{folder.name}: {seconds:.0f} s", flush=True)


def judge(arguments):
    from polysem.models.batches import TokenStore
    from polysem.models.load import load_subject
    from polysem.tables.evaluation import leading_batches
    from polysem.tables.measure_fidelity import ablations, dictionary_fidelity, mean_activation

    rows = ActivationRows(arguments.activations)
    site = rows.receipt["params"]["site"]
    subject, mean = load_subject(arguments.model, "cpu"), mean_activation(rows)
    batches = list(leading_batches(TokenStore(arguments.tokens), arguments.fidelity_tokens))
    ablated = cache(lambda: ablations(subject, batches, site, mean))
    measured = []
    for file in sorted(arguments.output.glob("*/cfg.json")):
        numbers = file.with_name("judged.json")
        if not numbers.exists():
            sae = load_sae(file.parent, rows.width)
            none = torch.zeros(sae.features, dtype=torch.bool)
            table = dictionary_fidelity(subject, batches, sae, site, none, ablated())
            found = {key: float(table[key]) for key in ("L0", "explained_variance", "loss_recovered_zero")}
            numbers.write_text(json.dumps(found))
        metadata = json.loads(file.read_text())["metadata"]
        measured.append(metadata | json.loads(numbers.read_text()))
    report(measured, arguments.levels)


def report(measured, levels):
    order = ("library", "rate", "seed", "L0")
    measured.sort(key=lambda one: (ARCHITECTURES.index(one["architecture"]), *(one[key] for key in order)))
    print("| architecture | library | learning rate | seed | weight or k | L0 | explained variance | loss recovered |")
    print("|---|---|---|---|---|---|---|---|")
    for one in measured:
        print(
            f"| {one['architecture']} | {one['library']} {one['version']} | {one['rate']:g} | {one['seed']} | "
            f"{one['value']:g} | {one['L0']:.1f} | {one['explained_variance']:.3f} | "
            f"{one['loss_recovered_zero']:.3f} |"
        )
    print("\nAt equal L0: interpolated in log L0 between SAEs of one learning rate and seed, never beyond them; the")
    print("best of the learning rates that all libraries were given, by the mean over seeds, with the value of each.")
    for architecture in ARCHITECTURES:
        lines = lines_of([one for one in measured if one["architecture"] == architecture])
        rates = set.intersection(*({rate for rate, _ in some} for some in lines.values())) if lines else set()
        if "ours" not in lines or not rates:
            continue
        lines = {
            library: {key: line for key, line in some.items() if key[0] in rates} for library, some in lines.items()
        }
        for level in levels or common_levels(lines):
            for quantity in ("explained_variance", "loss_recovered_zero"):
                found = {library: best(some, level, quantity) for library, some in lines.items()}
                shown = ", ".join(
                    f"{library} {np.mean(values):.4f} ({' '.join(f'{value:.4f}' for value in values)})"
                    for library, values in found.items()
                    if values
                )
                print(f"{architecture}, L0 {level:.0f}, {quantity}: {shown}")


def lines_of(measured):
    """By library, then by learning rate and seed, the SAEs in the order of their L0; three at least."""
    lines = {}
    for one in measured:
        lines.setdefault(one["library"], {}).setdefault((one["rate"], one["seed"]), []).append(one)
    return {
        library: {key: sorted(line, key=lambda one: one["L0"]) for key, line in some.items() if len(line) >= len(K)}
        for library, some in lines.items()
    }


def common_levels(lines):
    """L0 values that all libraries reach with every seed, three of them."""
    every = [line for some in lines.values() for line in some.values()]
    low, high = max(line[0]["L0"] for line in every), min(line[-1]["L0"] for line in every)
    return list(np.geomspace(low, high, 3)) if low < high else []


def best(lines, level, quantity):
    """The values of all seeds at an L0, at the learning rate with the best mean; none where no rate reaches it."""
    found = {}
    for (rate, _), line in sorted(lines.items()):
        x = np.log([one["L0"] for one in line])
        reached = x[0] - 1e-2 <= np.log(level) <= x[-1] + 1e-2
        value = float(np.interp(np.log(level), x, [one[quantity] for one in line])) if reached else -np.inf
        found.setdefault(rate, []).append(value)
    return max((values for values in found.values() if np.isfinite(values).all()), key=np.mean, default=[])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    for name in ("train", "judge"):
        step = steps.add_parser(name)
        step.add_argument("--activations", type=Path, required=True, help="a store of the train split, or of eval")
        step.add_argument("--output", type=Path, required=True)
    steps.choices["train"].add_argument("--only", choices=LIBRARIES)
    steps.choices["train"].add_argument("--architecture", choices=ARCHITECTURES)
    steps.choices["train"].add_argument("--rate", type=float, choices=RATES)
    steps.choices["train"].add_argument("--value", type=float, help="only this coefficient or k")
    steps.choices["train"].add_argument("--seed", type=int, default=0, help="of first weights and order of rows")
    steps.choices["judge"].add_argument("--model", type=Path, required=True)
    steps.choices["judge"].add_argument("--tokens", type=Path, required=True)
    steps.choices["judge"].add_argument("--fidelity-tokens", type=int, default=16_384)
    steps.choices["judge"].add_argument("--levels", type=float, nargs="+", help="L0 values; without, what all reach")
    for step in steps.choices.values():
        step.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    {"train": train, "judge": judge}[arguments.step](arguments)


if __name__ == "__main__":
    sys.exit(main())
