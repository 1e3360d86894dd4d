"""`source: transformer_lens`: repositories older than the hub's form (`NeelNanda/GELU_1L512W_C4_Code`).

They hold a `config.json` of TransformerLens fields and a state dict `*final.pth`, here read as tensors and nothing
else, and written in the form of the models that are trained in the DAG.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

from polysem.io.atomic import written
from polysem.io.errors import InputError
from polysem.io.tensor_files import read_state
from polysem.models.hub import Repository, Snapshot, snapshot
from polysem.models.masks import is_causal_mask
from polysem.models.model_config import read_sizes
from polysem.models.native import save_native
from polysem.models.older_config import native_config
from polysem.models.record import CONFIG, TOKENIZER
from polysem.models.tokenizer import check_vocabulary, load_tokenizer
from polysem.models.tokenizer_file import is_local, tokenizer_file
from polysem.models.trial import try_out

BUFFERS = (".mask", ".IGNORE")
"""Causal masks and the number that masked scores got, which the model computes itself."""


@dataclass(frozen=True)
class Checked:
    """A repository whose files fit each other."""

    original: dict[str, Any]
    """As it is written in `config.json`."""
    config: dict[str, Any]
    """Arguments of TransformerBridgeConfig."""
    bridge: TransformerBridge
    """The model, with its weights."""
    ignored: list[str]
    """Stored tensors that are left aside."""


def fetch(params: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Convert the repository into the model folder; what is to be said of its origin.

    InputError if config or weights are missing or are no TransformerLens ones.
    """
    keys = Repository.model_validate(params)
    source = snapshot(keys, [CONFIG, "*final.pth", TOKENIZER])
    checked = check_weights(keys, source)
    tokenizer = tokenizer_file(source, _tokenizer_name(keys, source, checked), keys.where)
    check_vocabulary(load_tokenizer(tokenizer), checked.config["d_vocab"], tokenizer)
    try_out(checked.bridge, keys.where)
    save_native(checked.bridge, checked.config, folder)
    with written(folder / TOKENIZER) as partial:
        shutil.copyfile(tokenizer, partial)
    return {"commit": source.commit, "ignored_tensors": checked.ignored, "tied_tensors": {}}


def check_weights(keys: Repository, source: Snapshot) -> Checked:
    """The model of a repository; InputError if its files do not fit each other."""
    names, where = source.names(), keys.where
    weights = [name for name in names if name.endswith("final.pth")]
    if CONFIG not in names or len(weights) != 1:
        raise InputError(f"{where} must hold {CONFIG} and one *final.pth; found {', '.join(names[:8]) or 'nothing'}")
    original = read_sizes(source.file(CONFIG))
    config = native_config(original, where)
    stored = read_state(source.file(weights[0]))
    state = {name: _looked_over(name, tensor.float(), where) for name, tensor in stored.items()}
    _check_sizes(config, state, f"{weights[0]} of {where}")
    try:
        bridge = TransformerBridge.boot_native(TransformerBridgeConfig(**config))
        converted = convert_tl_checkpoint(state, bridge.cfg)
        converted.setdefault("unembed.bias", torch.zeros(config["d_vocab"]))
        bridge.load_state_dict(converted, strict=True)
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        said = " ".join(str(error).split())[:500]
        raise InputError(f"{weights[0]} of {where} does not fit its {CONFIG}: {said}") from error
    return Checked(original, config, bridge.eval(), sorted(name for name in state if name.endswith(BUFFERS)))


def check_tokenizer(keys: Repository, source: Snapshot, checked: Checked) -> None:
    """InputError if a tokenizer that is here has a token that the model does not know."""
    name = _tokenizer_name(keys, source, checked)
    if is_local(name):
        path = tokenizer_file(source, name, keys.where)
        check_vocabulary(load_tokenizer(path), checked.config["d_vocab"], path)


def _tokenizer_name(keys: Repository, source: Snapshot, checked: Checked) -> str | None:
    """The tokenizer that is named, here or in the config, a local file or a hub id; None for the repository's own."""
    return keys.tokenizer or (None if TOKENIZER in source.names() else checked.original.get("tokenizer_name"))


def _check_sizes(config: Mapping[str, Any], state: Mapping[str, Tensor], where: str) -> None:
    """InputError if the weights have other sizes than the config says, before a model of these sizes is made."""
    width, last = config["d_model"], f"blocks.{config['n_layers'] - 1}"
    wanted = {
        "embed.W_E": (config["d_vocab"], width),
        "pos_embed.W_pos": (config["n_ctx"], width),
        f"{last}.mlp.W_in": (width, config["d_mlp"]),
        f"{last}.attn.W_Q": (config["n_heads"], width, config["d_head"]),
    }
    for name, shape in wanted.items():
        found = tuple(state[name].shape) if name in state else None
        if found != shape:
            said = "is missing" if found is None else f"has shape {list(found)}"
            raise InputError(f"{where} does not fit its {CONFIG}: {name} {said}, expected {list(shape)}")


def _looked_over(name: str, tensor: Tensor, where: str) -> Tensor:
    """The tensor; InputError for weights that are no finite numbers, and for a mask of another attention."""
    if name.endswith(BUFFERS):
        if not is_causal_mask(tensor):
            raise InputError(
                f"{where}: {name} is no causal mask; only models that look at all earlier tokens are studied"
            )
    elif not bool(tensor.isfinite().all()):
        raise InputError(f"{where}: {name} holds NaN or infinite values")
    return tensor
