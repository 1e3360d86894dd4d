"""`source: transformer_lens`: repositories older than the hub's form (`NeelNanda/GELU_1L512W_C4_Code`).

They hold a `config.json` of TransformerLens fields and a state dict `*final.pth`, here read as tensors and nothing
else, and written in the form of the models that are trained in the DAG.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

from polysem.io.atomic import written
from polysem.io.errors import InputError
from polysem.io.tensor_files import read_state
from polysem.models.hub import Repository, snapshot
from polysem.models.native import save_native
from polysem.models.record import CONFIG, TOKENIZER
from polysem.models.tokenizer_file import tokenizer_file

NEEDED = ("d_model", "n_layers", "d_mlp", "d_head", "n_heads", "n_ctx", "d_vocab", "act_fn")


def fetch(params: dict[str, Any], folder: Path) -> str | None:
    """Convert the repository into the model folder; the commit that it comes from.

    InputError if config or weights are missing or are no TransformerLens ones.
    """
    keys = Repository.model_validate(params)
    where = keys.where
    source = snapshot(keys, [CONFIG, "*final.pth", TOKENIZER])
    names = source.names()
    weights = [name for name in names if name.endswith("final.pth")]
    if CONFIG not in names or len(weights) != 1:
        raise InputError(f"{where} must hold {CONFIG} and one *final.pth; found {', '.join(names[:8]) or 'nothing'}")
    original = json.loads((source.folder / CONFIG).read_text(encoding="utf-8"))
    config = native_config(original, where)
    state = {name: tensor.float() for name, tensor in read_state(source.folder / weights[0]).items()}
    try:
        bridge = TransformerBridge.boot_native(TransformerBridgeConfig(**config))
        converted = convert_tl_checkpoint(state, bridge.cfg)
        converted.setdefault("unembed.bias", torch.zeros(config["d_vocab"]))
        bridge.load_state_dict(converted, strict=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{weights[0]} of {where} does not fit its {CONFIG}: {error}") from error
    save_native(bridge, config, folder)
    name = keys.tokenizer or (None if TOKENIZER in names else original.get("tokenizer_name"))
    with written(folder / TOKENIZER) as partial:
        shutil.copyfile(tokenizer_file(source, name, where), partial)
    return source.commit


def native_config(original: dict[str, Any], where: str) -> dict[str, Any]:
    """Arguments of TransformerBridgeConfig from the fields of an older TransformerLens config."""
    if missing := [name for name in NEEDED if name not in original]:
        raise InputError(f"{CONFIG} of {where} lacks {', '.join(missing)}; it is no TransformerLens config")
    if original.get("shortformer_pos") or original.get("attn_only"):
        raise InputError(f"{where} is a shortformer or attention-only model; only models with MLPs are studied")
    return {name: original[name] for name in NEEDED} | {
        "final_rms": original.get("final_rms", False),
        "normalization_type": original.get("normalization", original.get("normalization_type")),
        "positional_embedding_type": "standard",
    }
