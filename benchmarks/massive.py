"""An SAE at a site with massive activations, where these are left out and where they count, on the same tokens.

`python benchmarks/massive.py --model results/models/NAME --tokens results/tokens/NAME --site SITE` runs on what
`snakemake --until record_model tokenize_corpus` leaves behind. For each `--leave-out` it extracts train activations and
trains a TopK SAE by the steps of the workflow. It prints of eval tokens L0, explained variance with and without massive
ones, and loss recovered against zeros and against the mean of the train rows, and the share of features that are active
on no train row. With `--folder` stores are kept there, and those that are there are taken.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from polysem.activations.extract_activations import extract_activations
from polysem.activations.left_out import recorded_left_out
from polysem.activations.rows import ActivationRows
from polysem.io.stores import receipt_path
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.saes.sae import SAE, load_sae
from polysem.saes.train_sae import train_sae
from polysem.tables.of_site.fidelity import ablations, dictionary_fidelity, mean_activation
from polysem.tables.parts.evaluation import leading_batches
from polysem.tables.parts.kept import kept_tokens

SHOWN = (
    "L0",
    "explained_variance",
    "explained_variance_with_left_out",
    "explained_variance_without_massive",
    "left_out_share",
    "left_out_variance_share",
    "massive_share",
    "massive_variance_share",
    "loss_recovered_zero",
    "loss_recovered_zero_low",
    "loss_recovered_zero_high",
    "loss_recovered_mean",
    "cross_entropy_clean",
    "cross_entropy_spliced",
    "cross_entropy_zero",
)


def dead_share(sae: SAE, rows: ActivationRows) -> float:
    """Share of features that are active on no row of a store."""
    alive = torch.zeros(sae.features, dtype=torch.bool)
    with torch.inference_mode():
        for block in rows.blocks():
            alive |= (sae.encode(torch.from_numpy(block)) > 0).any(dim=0)
    return float((~alive).float().mean())


def measured(folder: Path, how: Any, arguments: argparse.Namespace) -> dict[str, float]:
    """The numbers where `how` is left out."""
    site, store = arguments.site, folder / "train.zarr"
    if not receipt_path(store).exists():
        tokens, limit = arguments.tokens / "train.zarr", arguments.train_tokens
        extract_activations(arguments.model, tokens, site, store, limit, "float16", "", leave_out=how)
    recipe = {"architecture": "topk", "k": 32, "expansion": 4, "batch_size": 512, "learning_rate": 1e-3}
    train_sae({"store": str(store)}, folder / "sae", "topk", recipe | {"tokens": arguments.sae_tokens}, "")
    rows, subject = ActivationRows(store), load_subject(arguments.model, "cpu")
    sae, rules = load_sae(folder / "sae", rows.width), {site: recorded_left_out(store)}
    batches = list(leading_batches(TokenStore(arguments.tokens / "eval.zarr"), arguments.fidelity_tokens))
    kept = kept_tokens(subject, batches, rules, site)
    ablated = ablations(subject, batches, site, mean_activation(rows), kept.masks)
    rare = torch.zeros(sae.features, dtype=torch.bool)
    table = dictionary_fidelity(subject, batches, sae, site, rare, ablated, kept, rules)
    found = {name: float(table[name]) for name in SHOWN if name in table}
    return found | {"never_active_share": dead_share(sae, rows)}


def main() -> None:
    """Print the numbers of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--leave-out", nargs="+", default=["massive", "none"], choices=["massive", "first", "none"])
    parser.add_argument("--train-tokens", type=int, default=50_000)
    parser.add_argument("--sae-tokens", type=int, default=400_000)
    parser.add_argument("--fidelity-tokens", type=int, default=2048)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for how in arguments.leave_out:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            numbers = measured((arguments.folder or Path(folder)) / how, how, arguments)
        print(f"{how}, {time.monotonic() - begun:,.0f} s")
        for name, value in numbers.items():
            print(f"  {name:36} {value:10.5g}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
