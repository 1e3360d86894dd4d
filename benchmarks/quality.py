"""SAEs of this package against those of SAELens and dictionary_learning: the whole campaign is one command.

    python benchmarks/quality.py run --study results --tinystories elsewhere/results --peers PYTHON --output FOLDER

`--study` is the results folder of the repository's params.yaml, `--tinystories` that of
presets/tinystories-656k.yaml (`snakemake --until extract_activations` is enough for both), `--peers` the Python of an
environment made from benchmarks/peers.txt; what is not given is named and left out. The whole takes a day on one core;
`--settings`, `--lengths`, `--architectures`, `--packages`, `--rates`, `--seeds` and `--points` choose a part, and what
is in FOLDER is not made again. The last table is that of docs/results.md; `table` prints it anew.

Of each setting, length, library and architecture, `train` makes SAEs of seed 0 with every learning rate of `RATES` and
every weight, L0 or k of `VALUES`; chooses the rate by explained variance at equal L0 on eval rows from `SCORED` on; and
makes those of the other seeds at that rate. `judge` splices them into the model, with the package's own code, on the
first `SCORED` eval tokens. `table` compares each SAE of another library with ours at its own L0, interpolated in log L0
between those of the same seed and never beyond them. *At least* is: the mean over seeds of ours less theirs is no lower
than minus its standard error; with one seed, no lower than 0.

Equal are rows and their order, batch, steps, width, and that activations have a mean norm of √neurons; the peers'
learning rates rise over 5 % and fall over the last 20 % of the steps, their penalties rise over 10 %. The rest is each
library's own defaults.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from polysem.activations.rows import ActivationRows
from polysem.params.study import section_class
from polysem.saes.sae import SAE, load_sae, save_sae
from polysem.saes.sources.stored import StoredRows
from polysem.saes.trainer import Trainer, activation_scale

BATCH = 512
RATES = (5e-4, 1e-3, 2e-3, 5e-3)
SEEDS = (0, 1, 2)
SCORED = 16_384
"""Eval tokens that score; rates are chosen on the rows behind them."""
ARCHITECTURES = ("relu", "topk", "batchtopk", "jumprelu", "gated", "matryoshka_batchtopk")
BY_K = ("topk", "batchtopk", "matryoshka_batchtopk")
"""Those of them that take k; ours of the others are steered to an L0."""
PREFIXES = (0.0625, 0.125, 0.25, 0.5)
"""Shares of the features that Matryoshka SAEs of all libraries have as prefixes, before the whole."""
LIBRARIES = {"ours": "polysem", "sae_lens": "sae-lens", "dictionary_learning": "dictionary-learning"}
LEVELS = (16.0, 32.0)
"""L0 at which learning rates are compared."""
K = (32, 16)
STEERED = (32, 60, 12, 160)
VALUES = {
    "ours": {
        **dict.fromkeys(BY_K, K),
        "matryoshka_batchtopk": (*K, 40),
        **dict.fromkeys(("relu", "jumprelu", "gated"), STEERED),
    },
    "sae_lens": {**dict.fromkeys(BY_K, K), "relu": (1.2, 2.2), "jumprelu": (0.5, 2.0), "gated": (2.0, 4.0)},
    "dictionary_learning": {**dict.fromkeys(BY_K, K), "relu": (1.2, 2.2), "jumprelu": K, "gated": (2.0, 4.0)},
}
"""What each library takes for its L0: k, a weight of the penalty, or an L0 that is steered to. Of k 32 SAELens's
Matryoshka SAEs make 34, so ours have a point beyond."""
LENGTHS = {"short": 1, "long": 10}
QUANTITIES = {
    "explained_variance": "explained variance",
    "loss_recovered_zero": "loss recovered",
    "of_prefixes": "explained variance of the prefixes",
}
"""What is compared; the last is the mean over the shorter prefixes of a Matryoshka SAE."""


@dataclass(frozen=True)
class Setting:
    """Activations of a site, and how wide an SAE of it is and how long a short training."""

    results: str
    model: str
    site: str
    expansion: int
    steps: int


SETTINGS = {
    "stories-2l-x2": Setting("study", "stories-2l", "blocks.1.mlp.hook_post", 2, 292),
    "tinystories-x4": Setting("tinystories", "tinystories-656k", "blocks.1.mlp.hook_post", 4, 300),
    "stories-1l-x8": Setting("study", "stories-1l", "blocks.0.mlp.hook_post", 8, 300),
}


@dataclass(frozen=True)
class Job:
    """One SAE."""

    package: str
    architecture: str
    steps: int
    rate: float
    value: float
    seed: int

    @property
    def name(self):
        return f"{self.package}_{self.architecture}_{self.steps}_{self.rate:g}_{self.value:g}_{self.seed}"


class Rows:
    """The rows of a store in the order of our trainer, scaled, as an endless iterator for the peers."""

    def __init__(self, store, seed):
        self.source, self.step, self.batch_size = StoredRows(store, BATCH, seed), 0, BATCH
        self.width = self.source.width
        self.scale = activation_scale(self.source.sample(SCORED, seed))

    def __iter__(self):
        return self

    def __next__(self):
        x = self.source.batch(self.step) * self.scale
        self.step += 1
        return x


def ours(store, expansion, job):
    key = "k" if job.architecture in BY_K else "target_l0"
    keys = {"architecture": job.architecture, key: int(job.value), "expansion": expansion, "batch_size": BATCH}
    keys |= {"tokens": job.steps * BATCH, "learning_rate": job.rate, "seed": job.seed}
    keys |= {"prefixes": list(PREFIXES)} if job.architecture == "matryoshka_batchtopk" else {}
    recipe = section_class("saes", job.architecture).model_validate(keys)
    trainer = Trainer(recipe, StoredRows(store, BATCH, job.seed))
    while trainer.step < trainer.steps:
        trainer.advance()
    return trainer.finished()


def of_peer(store, expansion, job):
    import quality_peers

    rows = Rows(store, job.seed)
    train_one = getattr(quality_peers, job.package)
    features = expansion * rows.width
    sae = train_one(rows, job.steps, features, job.architecture, job.rate, job.value, job.seed, PREFIXES)
    factor = 1 / rows.scale  # the SAE for activations as they are, folded as our trainer does
    tensors = (sae.W_enc.contiguous(), sae.b_enc * factor, sae.W_dec.contiguous(), sae.b_dec * factor)
    return SAE(*tensors, activation=sae.activation.scaled(factor))


def made(folder, stores, expansion, job):
    """The folder of a job's SAE, trained if it is not there, with its numbers on the rows that do not score."""
    place = folder / job.name
    if not (place / "chosen_by.json").exists():
        begun = time.monotonic()
        sae = (ours if job.package == "ours" else of_peer)(stores / "train.zarr", expansion, job)
        seconds = time.monotonic() - begun
        save_sae(sae, place, vars(job), None)
        numbers = reconstruction(sae, ActivationRows(stores / "eval.zarr"))
        (place / "chosen_by.json").write_text(json.dumps(numbers))
        shown = " ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        print(f"{place.parent.name} {job.name}: {seconds:.0f} s, {shown}", flush=True)
    return place


@torch.inference_mode()
def reconstruction(sae, rows):
    """L0, explained variance and the share of features that never fire, on the eval rows that do not score."""
    x = torch.from_numpy(rows.gather(np.arange(min(SCORED, rows.length // 2), rows.length)))
    error, active, fired = 0.0, 0, torch.zeros(sae.features, dtype=torch.int64)
    for block in x.split(2048):
        f = sae.encode(block)
        error += float((sae.decode(f) - block).square().sum())
        active += int((f > 0).sum())
        fired += (f > 0).sum(0)
    variance = float((x - x.mean(0)).square().sum())
    return {
        "L0": active / len(x),
        "explained_variance": 1 - error / variance,
        "dead": float((fired == 0).double().mean()),
    }


@torch.inference_mode()
def of_prefixes(sae, x):
    """Mean share of the variance that the prefixes of a Matryoshka SAE explain, without the whole."""
    f, variance, found = sae.encode(x), float((x - x.mean(0)).square().sum()), []
    for share in PREFIXES:
        size = round(share * sae.features)
        residual = f[:, :size] @ sae.W_dec[:size] + sae.b_dec - x
        found.append(1 - float(residual.square().sum()) / variance)
    return sum(found) / len(found)


def train(arguments):
    setting = SETTINGS[arguments.setting]
    library, folder = arguments.package, arguments.output / arguments.setting
    stores = arguments.results / "activations" / setting.model / setting.site
    torch.set_num_threads(1)
    for architecture in arguments.architectures:
        values = VALUES[library][architecture][: arguments.points]

        def jobs(rate, seed, values=values, architecture=architecture):
            return [Job(library, architecture, arguments.steps, rate, value, seed) for value in values]

        tried = {
            rate: [made(folder, stores, setting.expansion, job) for job in jobs(rate, 0)] for rate in arguments.rates
        }
        rate = max(tried, key=lambda rate: score(tried[rate]))
        for seed in arguments.seeds:
            for job in jobs(rate, seed):
                made(folder, stores, setting.expansion, job)
        choice = folder / f"{library}_{architecture}_{arguments.steps}.json"
        chosen = [job.name for seed in arguments.seeds for job in jobs(rate, seed)]
        choice.write_text(json.dumps({"library": library, "version": installed(library), "rate": rate, "saes": chosen}))


def score(places):
    """Mean explained variance at `LEVELS`; a line through the two nearest SAEs where none has that L0."""
    found = [json.loads((place / "chosen_by.json").read_text()) for place in places]
    points = sorted((one["L0"], one["explained_variance"]) for one in found)
    x, y = np.log([max(l0, 0.1) for l0, _ in points]), [value for _, value in points]
    total = 0.0
    for level in np.log(LEVELS):
        place = int(np.clip(np.searchsorted(x, level), 1, len(x) - 1)) if len(x) > 1 else 0
        run = x[place] - x[place - 1] if place else 0.0
        slope = (y[place] - y[place - 1]) / run if run > 1e-3 else 0.0
        reach = np.clip(level, x[0] - np.log(2), x[-1] + np.log(2))
        total += y[place] + slope * (reach - x[place]) - 0.1 * abs(level - reach)
    return total / len(LEVELS)


def installed(library):
    return version(LIBRARIES[library]) if library != "ours" else ""


def judge(arguments):
    from polysem.activations.left_out import recorded_left_out
    from polysem.models.batches import TokenStore
    from polysem.models.load import load_subject
    from polysem.tables.of_site.fidelity import ablations, dictionary_fidelity, mean_activation
    from polysem.tables.parts.evaluation import leading_batches
    from polysem.tables.parts.kept import kept_tokens

    setting, folder = SETTINGS[arguments.setting], arguments.output / arguments.setting
    names = dict.fromkeys(
        name for choice in sorted(folder.glob("*.json")) for name in json.loads(choice.read_text())["saes"]
    )
    missing = [folder / name for name in names if not (folder / name / "judged.json").exists()]
    if not missing:
        return
    rows = ActivationRows(arguments.results / "activations" / setting.model / setting.site / "eval.zarr")
    subject = load_subject(arguments.results / "models" / setting.model, "cpu")
    batches = list(
        leading_batches(TokenStore(arguments.results / "tokens" / setting.model / "eval.zarr"), arguments.scored)
    )
    rules = {
        setting.site: recorded_left_out(arguments.results / "activations" / setting.model / setting.site / "eval.zarr")
    }
    kept = kept_tokens(subject, batches, rules, setting.site)
    ablated = ablations(subject, batches, setting.site, mean_activation(rows), kept.masks)
    for place in missing:
        sae = load_sae(place, rows.width)
        none = torch.zeros(sae.features, dtype=torch.bool)
        table = dictionary_fidelity(subject, batches, sae, setting.site, none, ablated, kept, rules)
        numbers = {key: float(table[key]) for key in ("L0", "explained_variance", "loss_recovered_zero")}
        if "matryoshka" in place.name:
            scored = torch.from_numpy(rows.gather(np.arange(min(arguments.scored, rows.length))))
            numbers["of_prefixes"] = of_prefixes(sae, scored)
        (place / "judged.json").write_text(json.dumps(numbers))


def table(arguments):
    print("| setting | steps | SAE | against | L0 | quantity | ours (rate) | theirs (rate) | difference | at least |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in SETTINGS:
        folder = arguments.output / name
        for file in sorted(folder.glob("*_*_*.json"), key=in_order):
            if not file.stem.startswith("ours_"):
                for line in lines(file, name):
                    print(line)
    print("\n| setting | steps | SAE | asked for | L0 of ours on eval tokens, over seeds | never active |")
    print("|---|---|---|---|---|---|")
    for name in SETTINGS:
        for file in sorted((arguments.output / name).glob("ours_*.json"), key=in_order):
            _, architecture, steps = parts(file)
            for value, found in sorted(reached(file).items()):
                l0, dead = ([one[key] for one in found] for key in ("L0", "dead"))
                span = f"{min(l0):.1f} to {max(l0):.1f}"
                print(f"| {name} | {steps} | {architecture} | {value:g} | {span} | {np.mean(dead):.1%} |")


def parts(choice):
    """Library, architecture and steps of a file of choices."""
    named, steps = choice.stem.rsplit("_", 1)
    architecture = max((name for name in ARCHITECTURES if named.endswith(f"_{name}")), key=len)
    return named.removesuffix(f"_{architecture}"), architecture, int(steps)


def in_order(choice):
    """Short trainings before long ones, architectures in their order, then libraries."""
    library, architecture, steps = parts(choice)
    return steps, ARCHITECTURES.index(architecture), library


def reached(choice):
    """By what was asked for, what the chosen SAEs of all seeds reach on the eval rows that do not score."""
    found = {}
    for name in json.loads(choice.read_text())["saes"]:
        numbers = json.loads((choice.parent / name / "chosen_by.json").read_text())
        found.setdefault(float(name.split("_")[-2]), []).append(numbers)
    return found


def lines(choice, name):
    """Rows of the table: ours at the L0 of each SAE of a library."""
    library, architecture, steps = parts(choice)
    mine = choice.with_name(f"ours_{architecture}_{steps}.json")
    if not mine.exists():
        return
    theirs, ours = (json.loads(file.read_text()) for file in (choice, mine))
    curves, other = by_seed(choice.parent, ours["saes"]), by_seed(choice.parent, theirs["saes"])
    for place in range(min(map(len, other.values()), default=0)):
        pairs = [(curves[seed], some[place]) for seed, some in other.items() if seed in curves]
        pairs = [(curve, one) for curve, one in pairs if reaches(curve, one["L0"])]
        shown = f"| {name} | {steps} | {architecture} | {library} {theirs['version']}"
        level = np.mean([some[place]["L0"] for some in other.values()])
        if not pairs:
            print(f"{shown} | {level:.1f} | – | no SAE of ours has this L0 | | | – |")
        for quantity, words in QUANTITIES.items() if pairs else ():
            if quantity not in pairs[0][1]:
                continue
            found = np.array([(at(curve, one["L0"], quantity), one[quantity]) for curve, one in pairs])
            gaps = found[:, 0] - found[:, 1]
            error = float(np.std(gaps, ddof=1) / len(gaps) ** 0.5) if len(gaps) > 1 else 0.0
            values = " | ".join(
                f"{mean:.4f} ({rate:g})"
                for mean, rate in zip(found.mean(0), (ours["rate"], theirs["rate"]), strict=True)
            )
            verdict = "yes" if gaps.mean() >= -error else "no"
            spread = (
                f"{gaps.mean():+.4f} ± {error:.4f}, {len(gaps)} seeds"
                if len(gaps) > 1
                else f"{gaps.mean():+.4f}, 1 seed"
            )
            yield f"{shown} | {level:.1f} | {words} | {values} | {spread} | {verdict} |"


def by_seed(folder, names):
    """By seed, the numbers of its SAEs in the order of their L0."""
    curves = {}
    for name in names:
        file = folder / name / "judged.json"
        if file.exists():
            curves.setdefault(int(name.split("_")[-1]), []).append(json.loads(file.read_text()))
    return {seed: sorted(some, key=lambda one: one["L0"]) for seed, some in sorted(curves.items())}


def reaches(curve, level):
    """Whether SAEs have this L0 between them, or within 3 %."""
    return curve[0]["L0"] / 1.03 <= level <= curve[-1]["L0"] * 1.03


def at(curve, level, quantity):
    """The value at an L0."""
    return float(np.interp(np.log(level), np.log([one["L0"] for one in curve]), [one[quantity] for one in curve]))


def run(arguments):
    """All settings and lengths that are asked for, one process after another, then the table."""
    for name in arguments.settings:
        setting = SETTINGS[name]
        results = {"study": arguments.study, "tinystories": arguments.tinystories}[setting.results]
        if results is None:
            print(f"{name} is left out; give --{setting.results}")
            continue
        where = ["--setting", name, "--results", str(results), "--output", str(arguments.output)]
        for length in arguments.lengths:
            steps = arguments.steps or setting.steps * LENGTHS[length]
            for library in arguments.packages:
                if library != "ours" and arguments.peers is None:
                    print(f"{library} is left out; give --peers")
                    continue
                python = sys.executable if library == "ours" else str(arguments.peers)
                options = ["--package", library, "--steps", str(steps), "--architectures", *arguments.architectures]
                options += ["--rates", *map(str, arguments.rates), "--seeds", *map(str, arguments.seeds)]
                options += ["--points", str(arguments.points)]
                found = {"PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}  # theirs has no polysem
                subprocess.run([python, __file__, "train", *where, *options], check=True, env=os.environ | found)
        subprocess.run([sys.executable, __file__, "judge", *where, "--scored", str(arguments.scored)], check=True)
    table(arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    for name in ("run", "train", "judge", "table"):
        step = steps.add_parser(name)
        step.add_argument("--output", type=Path, required=True)
        if name in ("train", "judge"):
            step.add_argument("--setting", choices=SETTINGS, required=True)
            step.add_argument("--results", type=Path, required=True)
        if name in ("run", "judge"):
            step.add_argument("--scored", type=int, default=SCORED, help="eval tokens that score")
        if name in ("run", "train"):
            step.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=ARCHITECTURES)
            step.add_argument("--rates", nargs="+", type=float, default=RATES)
            step.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
            step.add_argument("--points", type=int, default=4, help="how many of `VALUES` are trained")
            step.add_argument("--steps", type=int, required=name == "train")
    whole, one = steps.choices["run"], steps.choices["train"]
    one.add_argument("--package", choices=LIBRARIES, required=True)
    whole.add_argument("--study", type=Path)
    whole.add_argument("--tinystories", type=Path)
    whole.add_argument("--peers", type=Path, help="Python of an environment made from benchmarks/peers.txt")
    whole.add_argument("--settings", nargs="+", choices=SETTINGS, default=tuple(SETTINGS))
    whole.add_argument("--lengths", nargs="+", choices=LENGTHS, default=tuple(LENGTHS))
    whole.add_argument("--packages", nargs="+", choices=LIBRARIES, default=tuple(LIBRARIES))
    arguments = parser.parse_args()
    {"run": run, "train": train, "judge": judge, "table": table}[arguments.step](arguments)


if __name__ == "__main__":
    sys.exit(main())
