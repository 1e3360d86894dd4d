"""sparsify: `cfg.json` and `sae.safetensors`."""

import re
from pathlib import Path

from polysem.io.config_files import read_config, whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.saes.activation_functions import topk
from polysem.saes.published import Published, Settings, Weights
from polysem.saes.sae import CONFIG, SAE

WEIGHTS = "sae.safetensors"
RUN = "../config.json"
HOOK = re.compile(r"(?:.*\.)?(?:layers|h|blocks)\.(\d+)(?:\.(\w+))?")
PARTS = {None: "hook_resid_post", "mlp": "hook_mlp_out", "attn": "hook_attn_out", "self_attn": "hook_attn_out",
    "attention": "hook_attn_out"}  # fmt: skip
"""Outputs of a block and of its parts, as modules of transformers are called."""


def companions(weights: str) -> tuple[list[str], list[str]]:
    """The config of the SAE, and the one of the run in the folder above."""
    return [CONFIG], [RUN]


def read(weights: Path) -> Published:
    """The SAE of a folder that is called as the module whose output it reads. InputError for transcoders, skip
    connections, groupmax and signed features, none of which is an SAE of a site."""
    file = weights.parent / CONFIG
    config, tensors = read_config(file), open_tensors(weights)
    features, inputs = tensors.matrix("encoder.weight")
    if config.get("transcode") or config.get("skip_connection") or "W_skip" in tensors.shapes:
        raise InputError(f"{weights} is a transcoder: it predicts another site than it reads, so it is no SAE")
    tensors.require("encoder.weight", "encoder.bias", "W_dec", "b_dec")
    if config.get("activation", "topk") != "topk" or config.get("signed"):
        kind = "signed features" if config.get("signed") else f"activation {config['activation']!r}"
        raise InputError(f"{file}: {kind}; polysem reads topk")
    if config.get("d_in", inputs) != inputs:
        raise InputError(f"{file}: d_in is {config['d_in']!r}, but encoder.weight of {weights} reads {inputs}")
    wanted = config.get("num_latents") or inputs * whole_number(
        config.get("expansion_factor"), "expansion_factor", file
    )
    if wanted != features:
        raise InputError(f"{file} promises {wanted} features, encoder.weight of {weights} has {features}")
    k = whole_number(config.get("k"), "k", file)
    run = read_config(weights.parent / RUN) if (weights.parent / RUN).is_file() else {}
    length, model = run.get("ctx_len"), run.get("model")
    settings = Settings(
        model_name=model if isinstance(model, str) else None,
        hook_name=_hook(weights.parent.name),
        context_size=None if length is None else whole_number(length, "ctx_len", weights.parent / RUN),
        fold_ln=False,
        center_writing_weights=False,
    )
    notes = () if settings.hook_name else ("the folder is not called as a module of a known kind: hook not known",)
    return Published(inputs, features, settings, lambda: Weights(_sae(tensors, inputs, features, k)), notes=notes)


def _hook(folder: str) -> str | None:
    match = HOOK.fullmatch(folder)
    return f"blocks.{int(match[1])}.{PARTS[match[2]]}" if match and match[2] in PARTS else None


def _sae(tensors: TensorFile, inputs: int, features: int, k: int) -> SAE:
    return SAE(
        tensors.tensor("encoder.weight", features, inputs).T.contiguous(),
        tensors.tensor("encoder.bias", features),
        tensors.tensor("W_dec", features, inputs),
        tensors.tensor("b_dec", inputs),
        topk.Function(k),
    )
