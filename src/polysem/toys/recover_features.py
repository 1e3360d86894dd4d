"""Step: train an SAE on activations with known features and say how many of them it finds."""

import sys
import time
from pathlib import Path
from typing import Any

import xarray as xr

from polysem.io.tables import write_table
from polysem.numerics.devices import Device, precision, resolved
from polysem.params.recipes.base import Recipe
from polysem.params.toys import Toy
from polysem.saes.architecture import recipe_class
from polysem.saes.trainer import Trainer, products_of
from polysem.toys.hierarchy import hierarchy
from polysem.toys.known_features import KnownFeatures, KnownRows, stream
from polysem.toys.recovery import recovery


def recover_features(output: Path, toy: Toy, architecture: str, params: dict[str, Any], device: Device = "cpu") -> None:
    """Write the table of `recovery` for one SAE on one set of known features, with that of `hierarchy` where some have
    children.

    Args:
        output: The table, netCDF.
        toy: The set, `polysem.params.toys.Toy`.
        architecture: Folder of the SAE's architecture.
        params: Its recipe, as under `saes:`; the SAE has `expansion` times as many features as the set has neurons.
        device: Where it is trained.

    Raises FloatingPointError if the loss is no longer finite or all features are dead.
    """
    recipe = recipe_class(architecture).model_validate(params)
    here = resolved(device)
    write_table(output, recovered(recipe, toy, here).assign_attrs(precision(here, products_of(recipe))))


def recovered(recipe: Recipe, toy: Toy, device: str = "cpu") -> xr.Dataset:
    """Train and measure; the rows of the measurement are none of those of training."""
    known = KnownFeatures(toy)
    trainer = Trainer(recipe, KnownRows(known, toy, recipe.batch_size, recipe.seed), device=device)
    begun = time.monotonic()
    while trainer.step < trainer.steps:
        trainer.advance()
    x, sizes = known.rows(toy.eval_rows, stream(toy.seed, recipe.seed, 2))
    sae = trainer.finished()
    table = recovery(sae, known.directions, x, sizes, toy.recovered_at)
    if toy.children:
        families = hierarchy(sae, known.directions, toy.parents, toy.children, x, sizes)
        table = table.merge(families).assign_attrs(families.attrs, child_chance=toy.child_chance)
    found = f"mean max cosine {float(table['mean_max_cosine']):.3f}, recall {float(table['recall']):.3f}"
    print(f"{trainer.steps} steps in {time.monotonic() - begun:.0f} s: {found}", file=sys.stderr, flush=True)
    return table.assign_attrs(catalogue="S1.X1")
