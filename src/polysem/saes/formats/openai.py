"""OpenAI's `sparse_autoencoder`: `gpt2-small/{location}{version}/autoencoders/{layer}.pt`, one file per SAE."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.io.atomic import written
from polysem.io.config_files import whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.saes.activation_functions import standard, topk
from polysem.saes.exported import Exported, require_no_target
from polysem.saes.published import Published, Settings, Weights
from polysem.saes.sae import SAE, ActivationFunction

WEIGHTS = ""
HOOKS = {
    "mlp_post_act": "mlp.hook_post",
    "resid_delta_attn": "hook_attn_out",
    "resid_delta_mlp": "hook_mlp_out",
    "resid_post_attn": "hook_resid_mid",
    "resid_post_mlp": "hook_resid_post",
}
"""What OpenAI's locations are called here."""
PLACE = re.compile(rf"(?:^|/)({'|'.join(HOOKS)})(?:_?v\w+)?/autoencoders/(\d+)\.pt$")
NAMES = ("pre_bias", "latent_bias", "encoder.weight", "decoder.weight")
STATISTICS = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")

TABLES = ("frequency",)
"""What is exported of a run's tables."""


def companions(weights: str) -> tuple[list[str], list[str]]:
    """None: the file says it all."""
    return [], []


def read(weights: Path) -> Published:
    """The SAE of a file. Its name tells location and layer; TopK goes with normalised input vectors, as in the
    authors' own loader. InputError for an activation function that keeps negative features."""
    tensors = open_tensors(weights)
    tensors.require(*NAMES, *STATISTICS)
    features, inputs = tensors.matrix("encoder.weight")
    activation = _activation(tensors, weights)
    place = PLACE.search(weights.as_posix())
    hook = f"blocks.{int(place[2])}.{HOOKS[place[1]]}" if place else None
    notes = () if place else ("the path does not end in {location}{version}/autoencoders/{layer}.pt: hook not known",)
    return Published(
        inputs,
        features,
        Settings(model_name="gpt2-small" if place else None, hook_name=hook, center_writing_weights=False),
        lambda: Weights(_sae(tensors, inputs, features, activation), _frequency(tensors, features)),
        notes=(*notes, "BOS and context length are not in the file"),
        k=activation.k if isinstance(activation, topk.Function) else None,
    )


def write(exported: Exported, folder: Path) -> None:
    """`{location}/autoencoders/{layer}.pt`, or `autoencoder.pt` for a site that OpenAI has no name for. InputError for
    an SAE that the authors' loader would read as another one: it normalises inputs exactly where there is a TopK."""
    require_no_target(exported, "OpenAI's form")
    sae, activation = exported.sae, exported.sae.activation
    is_topk = isinstance(activation, topk.Function)
    if not is_topk and not isinstance(activation, standard.Function):
        raise InputError(f"{exported.name} is {activation.config()['architecture']}; OpenAI's form has ReLU and TopK")
    if (sae.normalization == "layer_norm") != is_topk or sae.normalization == "constant_norm_rescale":
        raise InputError(
            f"{exported.name} has {'TopK' if is_topk else 'ReLU'} and normalises its inputs by {sae.normalization}; "
            "OpenAI's loader takes TopK for layer_norm and ReLU for none. Export it as saelens"
        )
    frequency = exported.frequency()
    state: dict[str, Any] = {
        "pre_bias": sae.b_dec,
        "latent_bias": sae.b_enc,
        "stats_last_nonzero": torch.zeros(sae.features, dtype=torch.long),
        "latents_activation_frequency": torch.ones(sae.features) if frequency is None else frequency.float(),
        "latents_mean_square": torch.zeros(sae.features),
        "encoder.weight": sae.W_enc.T.contiguous(),
        "decoder.weight": sae.W_dec.T.contiguous(),
    }
    if isinstance(activation, topk.Function):
        state |= {"activation": "TopK", "activation_state_dict": {"k": activation.k, "postact_fn": "ReLU"}}
    unknown = ["stats_last_nonzero", "latents_mean_square", *(["latents_activation_frequency"] * (frequency is None))]
    exported.missing.append(f"{', '.join(unknown)} hold what a fresh SAE has: this run does not measure them")
    with written(folder / _place(exported)) as partial:
        torch.save(state, partial)


def _place(exported: Exported) -> str:
    layer, hook = exported.layer(), exported.site.split(".", 2)[-1]
    location = {theirs: place for place, theirs in HOOKS.items()}.get(hook)
    if location is None:
        exported.missing.append(f"OpenAI has no location for {exported.site}, so the file is called autoencoder.pt")
        return "autoencoder.pt"
    return f"{location}/autoencoders/{layer}.pt"


def _activation(tensors: TensorFile, file: Path) -> ActivationFunction:
    """ReLU unless the file names another one."""
    name = tensors.values.get("activation", "ReLU")
    if name == "ReLU":
        return standard.Function()
    if name != "TopK":
        raise InputError(f"{file}: activation is {name!r}; polysem reads ReLU and TopK")
    state: Any = tensors.values.get("activation_state_dict")
    if not isinstance(state, Mapping):
        raise InputError(f"{file}: activation_state_dict is missing; a TopK SAE names its k there")
    after = state.get("postact_fn", "ReLU")
    if after != "ReLU":
        raise InputError(f"{file}: TopK with postact_fn {after!r} keeps negative features; polysem reads ReLU")
    k = state.get("k")
    return topk.Function(whole_number(k.item() if isinstance(k, Tensor) and k.numel() == 1 else k, "k", file))


def _sae(tensors: TensorFile, inputs: int, features: int, activation: ActivationFunction) -> SAE:
    return SAE(
        tensors.tensor("encoder.weight", features, inputs).T.contiguous(),
        tensors.tensor("latent_bias", features),
        tensors.tensor("decoder.weight", inputs, features).T.contiguous(),
        tensors.tensor("pre_bias", inputs),
        activation,
        "layer_norm" if isinstance(activation, topk.Function) else "none",
    )


def _frequency(tensors: TensorFile, features: int) -> Float[Tensor, " feature"] | None:
    """The stored frequencies; a fresh SAE has ones throughout, which say nothing."""
    if "latents_activation_frequency" not in tensors.shapes:
        return None
    found = tensors.tensor("latents_activation_frequency", features)
    is_share = bool(((found >= 0) & (found <= 1)).all()) and not bool((found == 1).all())
    return found if is_share else None
