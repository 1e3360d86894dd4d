"""Transformers that are trained in the DAG or converted to the same form: TransformerLens's native ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

from polysem.io.atomic import write_json, written
from polysem.models.record import CONFIG, NATIVE, WEIGHTS


def new_model(config: dict[str, Any]) -> NativeModel:
    """A freshly initialised model; `config` holds arguments of TransformerBridgeConfig, the seed among them."""
    bridge_config = TransformerBridgeConfig(**config)
    model = NativeModel(bridge_config)
    initialize_native_model(model, bridge_config)
    return model


def bridge_of(model: NativeModel) -> TransformerBridge:
    """The bridge around a plain model, which it takes apart: the model is not to be used any more."""
    return build_bridge_from_module(model, NATIVE, tl_config=model.cfg)


def save_native(
    bridge: TransformerBridge, config: dict[str, Any], folder: Path, made_on: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write `config.json` and `model.safetensors`, whose tensors have the bridge's names.

    Its metadata say what the weights were `made_on`, if that was no CPU.
    """
    write_json(folder / CONFIG, {"architectures": [NATIVE], **config})
    tensors = {name: tensor.detach().clone() for name, tensor in bridge.state_dict().items()}
    with written(folder / WEIGHTS) as partial:
        save_file(tensors, partial, dict(made_on) or None)


def is_native(folder: Path) -> bool:
    """Whether a model folder holds a native model."""
    return json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("architectures") == [NATIVE]


@torch.inference_mode(False)  # weights that are made in inference mode have no derivatives, and anatomy asks for some
def boot_native(folder: Path) -> TransformerBridge:
    """The model of a folder as a TransformerBridge."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    del config["architectures"]
    bridge = TransformerBridge.boot_native(TransformerBridgeConfig(**config))
    bridge.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    return bridge
