"""SAELens folders, of version 6 and before: `cfg.json`, `sae_weights.safetensors`, `sparsity.safetensors`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.io.config_files import is_number, read_config, whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.saes.exported import Exported
from polysem.saes.published import (
    Published,
    Settings,
    Weights,
    in_names_of_saelens,
    scaled_input,
    without_input_bias,
)
from polysem.saes.sae import CONFIG, NORMALIZATIONS, SAE, SPARSITY, activation_function, save_sae
from polysem.saes.sae import WEIGHTS as WEIGHTS
from polysem.saes.transcoder import NAMES as TRANSCODERS
from polysem.saes.transcoder import with_target

SCALER = "activation_scaler.json"
"""Beside checkpoints of an unfinished training: the factor that activations were multiplied by."""
EXPECTED_AVERAGE = "expected_average_only_in"
ARCHITECTURES = ("standard", "topk", "jumprelu", "gated", *TRANSCODERS)
RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
RESHAPED = ("none", "hook_z")
"""What may be done to activations first: nothing, or the heads of `attn.hook_z` one after the other, as polysem has
them."""
SWITCHES = ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm")
"""Keys that are true or false; another value could be read as either."""
T = TypeVar("T")

TABLES = ("frequency",)
"""What is exported of a run's tables."""


def companions(weights: str) -> tuple[list[str], list[str]]:
    """The config; the frequencies and the scale of activations if they are there."""
    return [CONFIG], [SPARSITY, SCALER]


def read(weights: Path) -> Published:
    """The SAE of a folder. InputError for architectures that polysem has not, normalisations that cannot be undone from
    what is stored, single attention heads, and whatever does not fit together."""
    file = weights.parent / CONFIG
    config, metadata, notes = _modern(read_config(file), file)
    tensors = open_tensors(weights)
    architecture = config.get("architecture")
    if architecture not in ARCHITECTURES:
        raise InputError(f"{file}: architecture is {architecture!r}; polysem reads {', '.join(ARCHITECTURES)}")
    reshaped = config.get("reshape_activations", "none")
    if reshaped not in RESHAPED:
        raise InputError(f"{file}: reshape_activations is {reshaped!r}; polysem reads {', '.join(RESHAPED)}")
    if metadata.get("hook_head_index") is not None:
        raise InputError(
            f"{file}: the SAE reads one attention head (hook_head_index), which is no site here; attn.hook_z has all"
        )
    for key in SWITCHES:
        if key in config and not isinstance(config[key], bool):
            raise InputError(f"{file}: {key} is {config[key]!r}, expected true or false")
    if architecture not in TRANSCODERS and metadata.get("hook_name_out") not in (None, metadata.get("hook_name")):
        raise InputError(
            f"{file}: hook_name_out is {metadata['hook_name_out']!r}, another site than hook_name, and architecture is "
            f"{architecture!r}; transcoders are {', '.join(TRANSCODERS)}"
        )
    if architecture == "topk":
        config = config | {"k": whole_number(config.get("k"), "k", file)}
    normalization = _normalization(config.get("normalize_activations") or "none", file)
    inputs, features = tensors.matrix("W_enc")
    for key, found in (("d_in", inputs), ("d_sae", features)):
        if key in config and config[key] != found:
            raise InputError(f"{file}: {key} is {config[key]!r}, but W_enc of {weights} has {found}")
    outputs = _outputs(config, normalization, tensors, file) if architecture in TRANSCODERS else None
    metadata = in_names_of_saelens(metadata)
    context = metadata.get("context_size")
    processing = metadata.get("model_from_pretrained_kwargs") or {}
    if not isinstance(processing, dict):
        raise InputError(f"{file}: model_from_pretrained_kwargs is {processing!r}, expected an object with keys")
    hook = _typed(metadata, "hook_name", str, file) or None  # an empty text says nothing
    is_module = hook is not None and "hook_" not in hook
    settings = Settings(
        model_name=_typed(metadata, "model_name", str, file),
        hook_name=None if is_module else hook,
        module=hook if is_module else None,
        hook_name_out=None if outputs is None else _typed(metadata, "hook_name_out", str, file) or None,
        prepend_bos=_typed(metadata, "prepend_bos", bool, file),
        context_size=None if context is None else whole_number(context, "context_size", file),
        fold_ln=_typed(processing, "fold_ln", bool, file),
        center_writing_weights=_typed(processing, "center_writing_weights", bool, file),
    )
    return Published(
        inputs,
        features,
        settings,
        lambda: Weights(_sae(config, tensors, normalization, outputs, file), _frequency(weights.parent, features)),
        _facts(config, metadata),
        notes,
        config["k"] if architecture == "topk" else None,
        outputs,
    )


def _outputs(config: Mapping[str, Any], normalization: str, tensors: TensorFile, file: Path) -> int:
    """Neurons that a transcoder predicts. InputError for what SAELens's classes do not do."""
    if config.get("apply_b_dec_to_input") is True:
        raise InputError(f"{file}: apply_b_dec_to_input is true, but the b_dec of a transcoder is of another site")
    if normalization == EXPECTED_AVERAGE:
        raise InputError(
            f"{file}: normalize_activations is {EXPECTED_AVERAGE} in a transcoder, which does not say what the skip "
            "connection reads; fold it in SAELens (fold_activation_norm_scaling_factor) and save again"
        )
    outputs = tensors.matrix("W_dec")[1]
    if "d_out" in config and config["d_out"] != outputs:
        raise InputError(f"{file}: d_out is {config['d_out']!r}, but W_dec has {outputs}")
    return outputs


def _typed(values: Mapping[str, Any], key: str, kind: type[T], file: Path) -> T | None:
    value = values.get(key)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{file}: {key} is {value!r}, expected a {kind.__name__}")
    return value


def write(exported: Exported, folder: Path) -> None:
    """A folder that SAELens loads (`SAE.load_from_disk`), with the settings of the activations under its names and the
    frequencies of this run."""
    frequency = exported.frequency()
    if frequency is None:
        exported.missing.append("no sparsity.safetensors: how often its features are active is not known")
    names = {"model_name": exported.model_name, "hook_name": exported.site}
    about = {key: name for key, name in names.items() if name} | exported.settings()
    save_sae(exported.sae, folder, about, frequency)


def _modern(config: dict[str, Any], file: Path) -> tuple[dict[str, Any], Mapping[str, Any], tuple[str, ...]]:
    """Config and metadata as version 6 calls them, and what was taken for granted. Before version 6 all keys stand in
    one place."""
    if "metadata" in config:
        if not isinstance(config["metadata"], dict):
            raise InputError(f"{file}: metadata is no object with keys")
        return config, config["metadata"], ()
    config = {RENAMED.get(key, key): value for key, value in config.items()}
    missing = [key for key in ("apply_b_dec_to_input", "prepend_bos") if key not in config]
    config = {"architecture": "standard", "apply_b_dec_to_input": True, "prepend_bos": True} | config
    arguments: Any = config.get("activation_fn_kwargs") or {}
    if not isinstance(arguments, dict):
        raise InputError(f"{file}: activation_fn_kwargs is {arguments!r}, expected an object with keys")
    match config.get("activation_fn", "relu"):
        case "topk":
            config |= {"architecture": "topk", "k": arguments.get("k")}
        case "relu":
            pass
        case other:
            raise InputError(f"{file}: activation_fn is {other!r}; polysem reads relu and topk")
    if isinstance(config.get("normalize_activations"), bool):
        config["normalize_activations"] = EXPECTED_AVERAGE if config["normalize_activations"] else "none"
    notes = (f"a config from before version 6 without {' and '.join(missing)}: taken as True",) if missing else ()
    return config, config, notes


def _normalization(found: Any, file: Path) -> str:
    """Our name of what is done to each vector; a mean norm that was brought to √n is folded, if it is stored."""
    if found in NORMALIZATIONS:
        return str(found)
    if found == EXPECTED_AVERAGE and (file.parent / SCALER).is_file():
        return EXPECTED_AVERAGE
    if found == EXPECTED_AVERAGE:
        raise InputError(
            f"{file}: normalize_activations is {EXPECTED_AVERAGE}, and no {SCALER} beside it says by what factor; fold "
            "it in SAELens (fold_activation_norm_scaling_factor) and save again"
        )
    raise InputError(
        f"{file}: normalize_activations is {found!r}; polysem reads {', '.join((*NORMALIZATIONS, EXPECTED_AVERAGE))}"
    )


def _sae(config: Mapping[str, Any], tensors: TensorFile, normalization: str, outputs: int | None, file: Path) -> SAE:
    """The SAE of the file; with `outputs`, the transcoder, whose target `metadata` or the params file names."""
    architecture = config["architecture"]
    function = activation_function(TRANSCODERS.get(architecture, architecture), file)
    skip = ("W_skip",) if architecture in TRANSCODERS and "skip" in architecture else ()
    own = ("W_enc", function.bias, "W_dec", "b_dec", *function.tensor_names, *skip)
    tensors.require(*own, "scaling_factor", "finetuning_scaling_factor")
    inputs, features = tensors.matrix("W_enc")
    found = {name: tensors.tensor(name, features) for name in (function.bias, *function.tensor_names)}
    try:
        activation = function.from_saved(config, found)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    sae = SAE(
        tensors.tensor("W_enc", inputs, features),
        found[function.bias],
        tensors.tensor("W_dec", features, outputs or inputs) * _finetuned(config, tensors, features, file),
        tensors.tensor("b_dec", outputs or inputs),
        activation,
        "none" if normalization == EXPECTED_AVERAGE else normalization,
    )
    if outputs is not None:
        return with_target(sae, tensors.tensor("W_skip", outputs, inputs) if skip else None, "")
    if config.get("apply_b_dec_to_input", True) is False:
        sae = without_input_bias(sae)
    if config["architecture"] == "topk" and config.get("rescale_acts_by_decoder_norm"):
        norms = sae.W_dec.norm(dim=1)
        rows = sae.W_dec / torch.where(norms > 0, norms, 1.0)[:, None]
        sae = replace(sae, W_enc=sae.W_enc * norms, b_enc=sae.b_enc * norms, W_dec=rows)
    if normalization == EXPECTED_AVERAGE:
        factor = read_config(file.parent / SCALER).get("scaling_factor")
        if not is_number(factor):
            raise InputError(f"{file.parent / SCALER}: scaling_factor is {factor!r}, expected a number")
        sae = scaled_input(sae, factor)
    return sae


def _finetuned(config: Mapping[str, Any], tensors: TensorFile, features: int, file: Path) -> Float[Tensor, "feature 1"]:
    """Factors of fine-tuning, by which features are multiplied before they are decoded; ones where there are none."""
    names = [name for name in ("scaling_factor", "finetuning_scaling_factor") if name in tensors.shapes]
    if not names:
        return torch.ones(features, 1)
    factors = tensors.tensor(names[0], features)
    if not torch.allclose(factors, torch.ones_like(factors)) and not config.get("finetuning_scaling_factor"):
        raise InputError(f"{file}: {names[0]} is stored, but finetuning_scaling_factor is not set; which one is meant?")
    return factors[:, None]


def _frequency(folder: Path, features: int) -> Float[Tensor, " feature"] | None:
    if not (folder / SPARSITY).is_file():
        return None
    logarithm = open_tensors(folder / SPARSITY).tensor("sparsity", features).double()
    return (10**logarithm - 1e-10).clamp(0, 1)


def _facts(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Where the SAE comes from, as far as it says; SAELens averages its L1 penalty over tokens."""
    keys = ("l1_coefficient", "dataset_path", "sae_lens_training_version", "neuronpedia_id")
    everything = {**config, **metadata}
    return {key: everything[key] for key in keys if everything.get(key) is not None}
