"""Neel Nanda's SAEs of gelu-1l and gelu-2l: `{n}.pt` and `{n}_cfg.json`."""

from pathlib import Path
from typing import Any

from polysem.io.config_files import read_config, whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.saes.activation_functions import standard
from polysem.saes.published import Published, Settings, Weights, per_token
from polysem.saes.sae import SAE

WEIGHTS = ""
BATCH_SIZE = 4096
"""Rows of a batch in the published runs."""
CONTEXT = 128
TENSORS = ("W_enc", "W_dec", "b_enc", "b_dec")
WIDTHS = {"d_in": ("act_size", "d_mlp", "d_in"), "d_sae": ("dict_size",)}
"""What the widths are called in newer and in older configs."""


def companions(weights: str) -> tuple[list[str], list[str]]:
    """`25.pt` has `25_cfg.json` beside it."""
    return [f"{weights.removesuffix('.pt')}_cfg.json"], []


def read(weights: Path) -> Published:
    """The SAE of a file. The models were loaded with folded LayerNorms and centred weights, and read 128 tokens with
    the BOS token in front. Older configs name no hook: all of them are of the MLP of the first layer."""
    file = weights.with_name(companions(weights.name)[0][0])
    config = read_config(file)
    tensors = open_tensors(weights)
    inputs, features = read_shapes(tensors, config, file)
    stated = "batch_size" in config
    batch = whole_number(config.get("batch_size", BATCH_SIZE), "batch_size", file)
    facts, note = per_token(config.get("l1_coeff"), batch, stated)
    settings = Settings(
        model_name=config.get("model_name", "gelu-1l"),
        hook_name=_hook(config, file),
        prepend_bos=True,
        context_size=whole_number(config.get("seq_len", CONTEXT), "seq_len", file),
        fold_ln=True,
        center_writing_weights=True,
    )
    return Published(inputs, features, settings, lambda: Weights(read_relu(tensors, inputs, features)), facts, (note,))


def _hook(config: dict[str, Any], file: Path) -> str:
    """The newer configs name it; the older ones are of the only layer that was studied then."""
    if "act_name" in config:
        return str(config["act_name"])
    if "site" in config and "layer" in config:
        kinds = {"mlp_out": "hook_mlp_out", "post": "mlp.hook_post", "resid_pre": "hook_resid_pre"}
        if config["site"] not in kinds:
            raise InputError(f"{file}: site is {config['site']!r}; polysem knows {', '.join(kinds)}")
        return f"blocks.{whole_number(config['layer'], 'layer', file, least=0)}.{kinds[config['site']]}"
    return "blocks.0.mlp.hook_post"


def read_shapes(tensors: TensorFile, config: dict[str, Any], file: Path) -> tuple[int, int]:
    """Inputs and features, which config and tensors must agree on as far as both know them."""
    tensors.require(*TENSORS)
    inputs, features = tensors.matrix("W_enc")
    for found, keys in ((inputs, WIDTHS["d_in"]), (features, WIDTHS["d_sae"])):
        key = next((key for key in keys if key in config), None)
        if key and config[key] != found:
            raise InputError(f"{file}: {key} is {config[key]!r}, but W_enc of {tensors.path} has {found}")
    return inputs, features


def read_relu(tensors: TensorFile, inputs: int, features: int) -> SAE:
    """Four tensors in SAELens's own shapes, with ReLU between them."""
    return SAE(
        tensors.tensor("W_enc", inputs, features),
        tensors.tensor("b_enc", features),
        tensors.tensor("W_dec", features, inputs),
        tensors.tensor("b_dec", inputs),
        standard.Function(),
    )
