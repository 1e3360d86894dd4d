"""Sparse autoencoders, in memory and in their SAELens 6 folder (document S1, "Autoencoder")."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError

CONFIG = "cfg.json"
WEIGHTS = "sae_weights.safetensors"
SPARSITY = "sparsity.safetensors"
ARCHITECTURES = {"standard": "relu", "topk": "topk"}
"""SAELens's names of architectures, and the modules that know them."""

Activation = Callable[[Float[Tensor, "*batch feature"]], Float[Tensor, "*batch feature"]]


@dataclass
class SAE:
    """f = activation((x − b_dec) W_enc + b_enc),  x̂ = f W_dec + b_dec.

    Shapes as in SAELens: `W_enc` [neuron, feature], `b_enc` [feature], `W_dec` [feature, neuron], `b_dec` [neuron].
    """

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    activation: Activation

    @property
    def inputs(self) -> int:
        """Number of neurons of the site."""
        return self.W_enc.shape[0]

    @property
    def features(self) -> int:
        """Number of features."""
        return self.W_enc.shape[1]

    def tensors(self) -> dict[str, Tensor]:
        """The trainable tensors by name."""
        return {"W_enc": self.W_enc, "b_enc": self.b_enc, "W_dec": self.W_dec, "b_dec": self.b_dec}

    def encode(self, x: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch feature"]:
        """Activations of all features; `b_dec` is folded into the bias, which saves a copy of x."""
        flat = torch.addmm(self.b_enc - self.b_dec @ self.W_enc, x.reshape(-1, self.inputs), self.W_enc)
        return self.activation(flat.view(*x.shape[:-1], self.features))

    def decode(self, f: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch neuron"]:
        """Reconstruction from feature activations."""
        return f @ self.W_dec + self.b_dec

    def decoder(self) -> Float[Tensor, "feature neuron"]:
        """Direction of each feature."""
        return self.W_dec


def save_sae(
    sae: SAE, folder: Path, architecture: Mapping[str, Any], metadata: Mapping[str, Any], frequency: Tensor
) -> None:
    """Write `cfg.json`, `sae_weights.safetensors` and `sparsity.safetensors`, which holds log10(frequency + 1e-10).

    `architecture` gives SAELens's name of the architecture and the keys that go with it.
    """
    with written(folder / WEIGHTS) as partial:
        save_file({name: tensor.detach().contiguous() for name, tensor in sae.tensors().items()}, partial)
    with written(folder / SPARSITY) as partial:
        save_file({"sparsity": (frequency.double() + 1e-10).log10().float()}, partial)
    write_json(
        folder / CONFIG,
        {
            **architecture,
            "d_in": sae.inputs,
            "d_sae": sae.features,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": True,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": dict(metadata),
        },
    )


def load_sae(folder: Path, width: int, device: str = "cpu") -> SAE:
    """The SAE of a folder. InputError, with file and tensor named, if it is none or does not fit a site of this
    width."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, json.JSONDecodeError, SafetensorError) as error:
        raise InputError(f"{folder} holds no SAE ({error})") from error
    name = config.get("architecture")
    if name not in ARCHITECTURES:
        raise InputError(f"{folder / CONFIG}: architecture {name!r} is none of {', '.join(sorted(ARCHITECTURES))}")
    features = config.get("d_sae")
    expected = {"W_enc": (width, features), "b_enc": (features,), "W_dec": (features, width), "b_dec": (width,)}
    for tensor, shape in expected.items():
        found = tuple(tensors[tensor].shape) if tensor in tensors else None
        if found != shape:
            raise InputError(
                f"{folder / WEIGHTS}: {tensor} has shape {found}, expected {shape} for a site of {width} neurons"
            )
        if not torch.isfinite(tensors[tensor]).all():
            raise InputError(f"{folder / WEIGHTS}: {tensor} holds NaN or infinite values")
    module = import_module(f"polysem.saes.architectures.{ARCHITECTURES[name]}")
    return SAE(
        **{tensor: tensors[tensor].float().to(device) for tensor in expected}, activation=module.from_config(config)
    )
