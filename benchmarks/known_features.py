"""S1.X1: do SAEs recover the features that their activations are made of? Prints the table of docs/results.md.

`python benchmarks/known_features.py`, about five minutes on one core. The sets are those of the field: 16 orthogonal
features among 32 neurons (SAELens's documentation of synthetic data) and 512 features among 256 neurons, 5 active on
average (Sharkey, Braun & Millidge 2022), with equal probabilities and with theirs, which decay and are correlated.
"""

import argparse

import torch

from polysem.params.study import section_class
from polysem.params.toys import Toy
from polysem.toys.recover_features import recovered

ORTHOGONAL = Toy(neurons=32, features=16, orthogonal=True, active=4, decay=1, correlated=False, least=0.5, largest=1.5)
EQUAL = Toy(decay=1, correlated=False)
DECAYING = Toy()
SETS = {"16 orthogonal in 32": ORTHOGONAL, "512 in 256, equal": EQUAL, "512 in 256, decaying": DECAYING}
SMALL = {"expansion": 1, "tokens": 800_000}
LARGE = {"expansion": 4, "tokens": 1_500_000}
PLAN = [
    ("16 orthogonal in 32", "relu", {"l1": 1.0, **SMALL}),
    ("16 orthogonal in 32", "topk", {"k": 4, **SMALL}),
    ("16 orthogonal in 32", "batchtopk", {"k": 4, **SMALL}),
    ("16 orthogonal in 32", "jumprelu", {"l0": 1.0, "threshold": 0.5, "bandwidth": 0.5, **SMALL}),
    ("16 orthogonal in 32", "gated", {"l1": 3.0, **SMALL}),
    ("512 in 256, equal", "relu", {"l1": 4.0, **LARGE}),
    ("512 in 256, equal", "topk", {"k": 5, **LARGE}),
    ("512 in 256, equal", "batchtopk", {"k": 5, **LARGE}),
    ("512 in 256, equal", "jumprelu", {"l0": 4.0, "threshold": 1.0, "bandwidth": 2.0, **LARGE}),
    ("512 in 256, equal", "gated", {"l1": 10.0, **LARGE}),
    ("512 in 256, decaying", "relu", {"l1": 4.0, **LARGE}),
    ("512 in 256, decaying", "batchtopk", {"k": 5, **LARGE}),
]
COMMON = 2e-3
"""Share of rows from which a feature counts as common in the last column."""
COLUMNS = ("mean_max_cosine", "recall", "precision", "firing_recall_all", "firing_precision_all", "L0", "L0_known")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    print("| set | SAE | " + " | ".join(COLUMNS) + " | mean_max_cosine of common |")
    print("|" + "---|" * (len(COLUMNS) + 3))
    for name, architecture, keys in PLAN:
        values = {"architecture": architecture, "learning_rate": 3e-3, **keys}
        recipe = section_class("saes", architecture).model_validate(values)
        table = recovered(recipe, SETS[name])
        common = float(table["best_cosine"].where(table["frequency"] >= COMMON).mean())
        numbers = " | ".join(f"{float(table[column]):.3g}" for column in COLUMNS)
        print(f"| {name} | {architecture} | {numbers} | {common:.3f} |", flush=True)


if __name__ == "__main__":
    main()
