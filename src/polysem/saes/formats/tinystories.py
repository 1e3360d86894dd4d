"""SAEs of TinyStories-2L-33M: `{number}_{word}_{word}.pt` and `.json` of the same name."""

import re
from pathlib import Path
from typing import Any

from polysem.io.config_files import read_config, whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import open_tensors
from polysem.saes.formats.neel import read_relu, read_shapes
from polysem.saes.published import Published, Settings, Weights, per_token

WEIGHTS = ""
BATCH_SIZE = 5080
"""Rows of a batch in the published runs."""
LAYERS = {"47_polar_thunder": 0, "185_upbeat_field": 1, "189_giddy_water": 1}
"""Layers of the published runs; their configs need not name them."""
NAME = re.compile(r"\d+_[a-z]+_[a-z]+")


def companions(weights: str) -> tuple[list[str], list[str]]:
    """`47_polar_thunder.pt` has `47_polar_thunder.json` beside it."""
    return [f"{weights.removesuffix('.pt')}.json"], []


def read(weights: Path) -> Published:
    """The SAE of a file. The model was loaded with folded LayerNorms and centred weights, and read no BOS token. A
    config without `reg` is of an L1 penalty."""
    if not NAME.fullmatch(weights.stem):
        raise InputError(f"{weights} is not called like 47_polar_thunder.pt; the name is part of the format")
    file = weights.with_suffix(".json")
    config = read_config(file)
    tensors = open_tensors(weights)
    inputs, features = read_shapes(tensors, config, file)
    facts, notes = _penalty(config, file)
    layer = config.get("layer", LAYERS.get(weights.stem))
    if layer is None:
        notes += ("neither the config nor the name tells the layer",)
    else:
        layer = whole_number(layer, "layer", file, least=0)
    settings = Settings(
        model_name="tiny-stories-2L-33M",
        hook_name=None if layer is None else f"blocks.{layer}.mlp.hook_post",
        prepend_bos=False,
        fold_ln=True,
        center_writing_weights=True,
    )
    return Published(inputs, features, settings, lambda: Weights(read_relu(tensors, inputs, features)), facts, notes)


def _penalty(config: dict[str, Any], file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Only the L1 norm is known to be added up over the batch; other penalties keep their coefficients."""
    kind = config.get("reg") or "l1"
    coefficient = config.get("l1_coeff")
    if kind in ("l1", ["l1"]):
        stated = "batch_size" in config
        batch = whole_number(config.get("batch_size", BATCH_SIZE), "batch_size", file)
        value = coefficient[0] if isinstance(coefficient, list) and len(coefficient) == 1 else coefficient
        facts, note = per_token(value, batch, stated)
        return {"penalty": "l1", **facts}, (note,)
    facts = {"penalty": kind, "coefficients_in_file": coefficient}
    return facts, (f"the penalty is {kind}, coefficients {coefficient} as in the file, which were not converted",)
