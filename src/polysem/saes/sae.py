"""Sparse autoencoders, in memory and in their SAELens 6 folder (document S1, "Autoencoder")."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError
from polysem.params.addons import modules_of
from polysem.saes import activation_functions
from polysem.saes.search import Rule

CONFIG = "cfg.json"
WEIGHTS = "sae_weights.safetensors"
SPARSITY = "sparsity.safetensors"
LAYOUT = "6.0.0"
"""The version of SAELens that brought this layout; SAELens takes a config without a version for an older one."""
NORMALIZATIONS = ("none", "layer_norm", "constant_norm_rescale")
"""What is done to each activation vector before an SAE sees it; every trained SAE has its scale folded in: none."""


class ActivationFunction(Protocol):
    """From pre-activations to features; a module per function in `polysem.saes.activation_functions`."""

    bias: ClassVar[str]
    """Name under which the encoder's bias is saved."""
    elementwise: ClassVar[bool]
    """Whether each feature depends on its own pre-activation alone, so that features may be scaled one by one."""
    tensor_names: ClassVar[tuple[str, ...]]
    """Names of its own saved tensors, each of shape [feature]."""

    def __call__(self, pre: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch feature"]:
        """Features of pre-activations."""

    def rule(self) -> Rule:
        """Which pre-activations may give features above 0: all that do, and few that do not."""

    def of_active(self, pre: Float[Tensor, " entry"], feature: Int[Tensor, " entry"]) -> Float[Tensor, " entry"]:
        """Features of pre-activations that the rule found."""

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json`: SAELens's name of the architecture and what goes with it."""

    def tensors(self) -> dict[str, Tensor]:
        """Its own tensors, by the names in `tensor_names`."""

    def scaled(self, factor: float | Float[Tensor, " feature"]) -> Self:
        """The function g with g(factor · pre) = factor · f(pre)."""

    def shifted(self, shift: Float[Tensor, " feature"]) -> Self:
        """The function for an encoder whose bias, the one saved under `bias`, has grown by a shift that all of its
        biases share."""

    @classmethod
    def from_saved(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The function of a saved SAE; `tensors` hold its own and the bias. InputError if the config does not do."""


@dataclass(frozen=True)
class SAE:
    """f = activation((x − b_dec) W_enc + b_enc),  x̂ = f W_dec + b_dec, on activations as `normalization` makes them.

    Shapes as in SAELens: `W_enc` [neuron, feature], `b_enc` [feature], `W_dec` [feature, neuron], `b_dec` [neuron].
    """

    W_enc: Float[Tensor, "neuron feature"]
    b_enc: Float[Tensor, " feature"]
    W_dec: Float[Tensor, "feature neuron"]
    b_dec: Float[Tensor, " neuron"]
    activation: ActivationFunction
    normalization: str = "none"

    @property
    def inputs(self) -> int:
        """Number of neurons of the site."""
        return self.W_enc.shape[0]

    @property
    def outputs(self) -> int:
        """Length of a decoder row; of an SAE the number of neurons of its site."""
        return self.inputs

    @property
    def target(self) -> str | None:
        """The other site that a transcoder predicts; None of an SAE."""
        return None

    @property
    def centre(self) -> Float[Tensor, " neuron"] | None:
        """What is subtracted from x before it is encoded."""
        return self.b_dec

    @property
    def encoder_bias(self) -> Float[Tensor, " feature"]:
        """The bias of the encoder for x as it is, with the centre folded in."""
        return self.b_enc if self.centre is None else self.b_enc - self.centre @ self.W_enc

    @property
    def features(self) -> int:
        """Number of features."""
        return self.W_enc.shape[1]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors under the names that they are saved by."""
        weights = {"W_enc": self.W_enc, self.activation.bias: self.b_enc, "W_dec": self.W_dec, "b_dec": self.b_dec}
        return weights | self.activation.tensors()

    def config(self) -> dict[str, Any]:
        """Its entries in `cfg.json` that depend on its kind."""
        return self.activation.config()

    def metadata(self) -> dict[str, Any]:
        """Its entries in the metadata of `cfg.json`."""
        return {}

    def encode(self, x: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch feature"]:
        """Activations of all features; the centre is folded into the bias, which saves a copy of x."""
        normal, _, _ = normalized(x.reshape(-1, self.inputs), self.normalization)
        pre = torch.addmm(self.encoder_bias, normal, self.W_enc)
        return self.activation(pre).view(*x.shape[:-1], self.features)

    def decode(self, f: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch neuron"]:
        """Reconstruction of normalised activations from feature activations."""
        return f @ self.W_dec + self.b_dec

    def reconstruct(
        self, x: Float[Tensor, "*batch neuron"], f: Float[Tensor, "*batch feature"]
    ) -> Float[Tensor, "*batch neuron"]:
        """Reconstruction of x from its features, with the normalisation of x undone."""
        _, mean, size = normalized(x, self.normalization)
        return self.decode(f) * size + mean

    def decoder(self) -> Float[Tensor, "feature neuron"]:
        """Direction of each feature."""
        return self.W_dec

    def decoded_scale(self, x: Float[Tensor, "*batch neuron"]) -> Float[Tensor, "*batch 1"] | float:
        """What the normalisation of x divided by."""
        return normalized(x, self.normalization)[2]


def normalized(
    x: Float[Tensor, "*batch neuron"], how: str
) -> tuple[Float[Tensor, "*batch neuron"], Tensor | float, Tensor | float]:
    """(z, mean, size): what the SAE sees of x, and what its output is multiplied by and added to, per vector.

    `layer_norm` subtracts the mean and divides by the standard deviation (ddof 1) + 1e-5, and on the way back
    multiplies by the standard deviation alone, as OpenAI's and SAELens's SAEs do; `constant_norm_rescale` brings the
    norm to the square root of the number of neurons.
    """
    if how == "layer_norm":
        mean = x.mean(-1, keepdim=True)
        size = (x - mean).std(-1, keepdim=True)
        return (x - mean) / (size + 1e-5), mean, size
    if how == "constant_norm_rescale":
        size = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
        return x / size, 0.0, size
    return x, 0.0, 1.0


def save_sae(sae: SAE, folder: Path, metadata: Mapping[str, Any], frequency: Float[Tensor, " feature"] | None) -> None:
    """Write `cfg.json`, `sae_weights.safetensors` and, where frequencies are known, `sparsity.safetensors`, which holds
    log10(frequency + 1e-10). `device` of `cfg.json`, in which SAELens says what an SAE was trained on, is that of the
    metadata; without one it is `cpu`."""
    with written(folder / WEIGHTS) as partial:
        save_file({name: tensor.detach().contiguous() for name, tensor in sae.tensors().items()}, partial)
    if frequency is not None:
        with written(folder / SPARSITY) as partial:
            save_file({"sparsity": (frequency.double() + 1e-10).log10().float()}, partial)
    write_json(
        folder / CONFIG,
        {
            **sae.config(),
            "d_in": sae.inputs,
            "d_sae": sae.features,
            "dtype": "float32",
            "device": metadata.get("device", "cpu"),
            "apply_b_dec_to_input": sae.centre is not None,
            "normalize_activations": sae.normalization,
            "reshape_activations": "hook_z" if str(metadata.get("hook_name")).endswith("attn.hook_z") else "none",
            "metadata": {**metadata, **sae.metadata(), "sae_lens_version": LAYOUT},
        },
    )


def load_sae(folder: Path, width: int, device: str = "cpu") -> SAE:
    """The SAE or transcoder of a folder that `save_sae` wrote. InputError, with file and tensor named, if it is none or
    does not fit a site of this width; `polysem.saes.formats` reads what others wrote."""
    from polysem.saes.transcoder import NAMES, outputs_in, with_target

    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, json.JSONDecodeError, SafetensorError) as error:
        raise InputError(f"{folder} holds no SAE ({error})") from error
    architecture, features, outputs = config.get("architecture"), config.get("d_sae"), width
    target = config.get("metadata", {}).get("hook_name_out")
    if architecture in NAMES:
        try:
            outputs = outputs_in(config, target)
        except ValueError as error:
            raise InputError(f"{folder / CONFIG}: {error}") from None
    function = activation_function(NAMES.get(architecture, architecture), folder / CONFIG)
    expected = {
        "W_enc": (width, features),
        function.bias: (features,),
        "W_dec": (features, outputs),
        "b_dec": (outputs,),
    }
    expected |= dict.fromkeys(function.tensor_names, (features,))
    if architecture in NAMES and "skip" in architecture:
        expected["W_skip"] = (outputs, width)
    for tensor, shape in expected.items():
        found = tuple(tensors[tensor].shape) if tensor in tensors else None
        if found != shape:
            raise InputError(
                f"{folder / WEIGHTS}: {tensor} has shape {found}, expected {shape} for a site of {width} neurons"
            )
        if not torch.isfinite(tensors[tensor]).all():
            raise InputError(f"{folder / WEIGHTS}: {tensor} holds NaN or infinite values")
    normalization = config.get("normalize_activations", "none")
    if normalization not in NORMALIZATIONS:
        raise InputError(
            f"{folder / CONFIG}: normalize_activations is {normalization!r}; known are {', '.join(NORMALIZATIONS)}"
        )
    placed = {name: tensors[name].float().to(device) for name in expected}
    try:
        activation = function.from_saved(config, placed)
    except InputError as error:
        raise InputError(f"{folder / CONFIG}: {error}") from None
    weights = (placed["W_enc"], placed[function.bias], placed["W_dec"], placed["b_dec"])
    sae = SAE(*weights, activation=activation, normalization=normalization)
    return with_target(sae, placed.get("W_skip"), target) if architecture in NAMES else sae


def activation_function(architecture: Any, file: Path) -> type[ActivationFunction]:
    """The class of an architecture's activation function; InputError, with the file named, if there is none."""
    known = modules_of(activation_functions.__name__)
    if architecture not in known:
        raise InputError(f"{file}: architecture {architecture!r} is none of {', '.join(known)}")
    function: type[ActivationFunction] = import_module(known[architecture]).Function
    return function
