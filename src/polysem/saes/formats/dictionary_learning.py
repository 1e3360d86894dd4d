"""dictionary_learning: `ae.pt` and `config.json`, whose `dict_class` says what the tensors mean."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.config_files import is_number, read_config, whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors, tensors_of
from polysem.saes.activation_functions import gated, jumprelu, standard, topk
from polysem.saes.exported import Exported, require_plain_inputs
from polysem.saes.published import Published, Settings, Weights, without_input_bias
from polysem.saes.sae import SAE

WEIGHTS = "ae.pt"
CONFIG = "config.json"
CLASSES = {
    "AutoEncoder": ("bias", "encoder.weight", "encoder.bias", "decoder.weight"),
    "AutoEncoderNew": ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"),
    "AutoEncoderTopK": ("b_dec", "encoder.weight", "encoder.bias", "decoder.weight", "k", "threshold"),
    "BatchTopKSAE": ("b_dec", "encoder.weight", "encoder.bias", "decoder.weight", "k", "threshold"),
    "MatryoshkaBatchTopKSAE": ("W_enc", "b_enc", "W_dec", "b_dec", "k", "threshold", "group_sizes"),
    "GatedAutoEncoder": ("decoder_bias", "encoder.weight", "r_mag", "gate_bias", "mag_bias", "decoder.weight"),
    "JumpReluAutoEncoder": ("W_enc", "b_enc", "W_dec", "b_dec", "threshold"),
}
"""Tensors of each class."""
PLACE = re.compile(r"(resid_pre|resid_mid|resid_post|resid_out|attn_out|mlp_out)_layer_?(0|[1-9][0-9]*)")
"""How scripts of that library call the place that they read, `resid_post_layer_8`; the name is free."""


def companions(weights: str) -> tuple[list[str], list[str]]:
    """The config; checkpoints lie in a folder below it."""
    return ([CONFIG], []) if weights == WEIGHTS else (["../config.json"], [])


def read(weights: Path) -> Published:
    """The SAE of a file. Biases of runs on normalised activations are scaled back before that library saves them, so
    that they need nothing here. InputError for classes that polysem does not know, thresholds that were never set, and
    whatever does not fit together."""
    file = weights.parent / companions(weights.name)[0][0]
    config = read_config(file)
    trainer, buffer = config.get("trainer"), config.get("buffer") or {}
    if not isinstance(trainer, dict) or not isinstance(buffer, dict):
        raise InputError(f"{file} names no trainer; a config of dictionary_learning does")
    tensors = open_tensors(weights)
    if isinstance(tensors.values.get("ae"), Mapping):
        tensors = tensors_of(weights, dict(tensors.values["ae"]))
    kind = _class(trainer, tensors, file)
    own_shape = "W_enc" in CLASSES[kind]
    inputs, features = tensors.matrix("W_enc") if own_shape else tensors.matrix("encoder.weight")[::-1]
    for key, found in (("activation_dim", inputs), ("dict_size", features)):
        if key in trainer and trainer[key] != found:
            raise InputError(f"{file}: {key} is {trainer[key]!r}, but the encoder of {weights} has {found}")
    _check_k(tensors, trainer, file)
    k = _k(tensors, trainer, file) if kind == "AutoEncoderTopK" else None
    length = buffer.get("ctx_len")
    name = trainer.get("lm_name")
    settings = Settings(
        model_name=name if isinstance(name, str) else None,
        hook_name=_hook(trainer, file),
        context_size=None if length is None else whole_number(length, "ctx_len", file),
    )
    facts = {key: trainer[key] for key in ("trainer_class", "submodule_name", "layer") if trainer.get(key) is not None}
    penalty = trainer.get("l1_penalty")
    if is_number(penalty):
        facts["l1_coefficient"] = penalty
    notes = [] if settings.hook_name else ["the hook is not in the files: site says it"]
    if kind in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        notes.append(f"{kind} is studied as that library applies it: with its threshold, so it became a jumprelu")
    if kind == "JumpReluAutoEncoder":
        notes.append("the class subtracts no decoder bias from its input: b_dec W_enc was added to b_enc")
    return Published(
        inputs, features, settings, lambda: Weights(_sae(kind, tensors, inputs, features, k)), facts, tuple(notes), k
    )


def _class(trainer: Mapping[str, Any], tensors: TensorFile, file: Path) -> str:
    """The class that the config names; older configs name none, and then the tensors decide where they can."""
    alike = [kind for kind, names in CLASSES.items() if set(names) == set(tensors.shapes)]
    named = trainer.get("dict_class")
    if named is None and len(alike) == 1:
        return alike[0]
    if named not in CLASSES:
        hint = f"the tensors of {tensors.path} are those of {' or '.join(alike) or 'none of them'}"
        raise InputError(f"{file}: dict_class is {named!r}; polysem reads {', '.join(CLASSES)}, and {hint}")
    # the trainer of the April update names AutoEncoder and saves an AutoEncoderNew
    found = "AutoEncoderNew" if named == "AutoEncoder" and alike == ["AutoEncoderNew"] else str(named)
    tensors.require(*CLASSES[found])
    return found


def _hook(trainer: Mapping[str, Any], file: Path) -> str | None:
    """The hook, if `submodule_name` is called as scripts of that library or as TransformerLens call theirs. InputError
    if `layer` is another one."""
    name, layer = trainer.get("submodule_name"), trainer.get("layer")
    if not isinstance(name, str):
        return None
    place = PLACE.fullmatch(name)
    if place is None:
        return name if "hook_" in name else None
    if layer is not None and whole_number(layer, "layer", file, least=0) != int(place[2]):
        raise InputError(f"{file}: layer is {layer!r}, but submodule_name is {name!r}; keep the one that is meant")
    return f"blocks.{place[2]}.hook_{place[1].replace('resid_out', 'resid_post')}"


def _check_k(tensors: TensorFile, trainer: Mapping[str, Any], file: Path) -> None:
    """InputError if tensors and config name another k."""
    if "k" not in tensors.shapes or trainer.get("k") is None:
        return
    stored, written = whole_number(tensors.number("k"), "k", tensors.path), whole_number(trainer["k"], "k", file)
    if stored != written:
        raise InputError(
            f"{file}: k is {written}, but the tensor 'k' of {tensors.path} is {stored}; take the config that belongs "
            "to the weights"
        )


def _k(tensors: TensorFile, trainer: Mapping[str, Any], file: Path) -> int:
    """Active features per token: a tensor of its own, which the class got in 2024; before that only the config says
    it."""
    if "k" in tensors.shapes:
        return whole_number(tensors.number("k"), "k", tensors.path)
    if trainer.get("k") is not None:
        return whole_number(trainer["k"], "k", file)
    raise InputError(f"{tensors.path} holds no tensor 'k', and {file} names none under trainer; add k there")


def _sae(kind: str, tensors: TensorFile, inputs: int, features: int, k: int | None) -> SAE:
    """The SAE of a class, in our shapes."""
    if kind in ("JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE"):
        W_enc, W_dec = tensors.tensor("W_enc", inputs, features), tensors.tensor("W_dec", features, inputs)
        b_enc, b_dec = tensors.tensor("b_enc", features), tensors.tensor("b_dec", inputs)
        if kind == "JumpReluAutoEncoder":
            function = jumprelu.Function(tensors.tensor("threshold", features))
            return without_input_bias(SAE(W_enc, b_enc, W_dec, b_dec, function))
        return SAE(W_enc, b_enc, W_dec, b_dec, jumprelu.Function(_threshold(tensors, features)))
    W_enc = tensors.tensor("encoder.weight", features, inputs).T.contiguous()
    W_dec = tensors.tensor("decoder.weight", inputs, features).T.contiguous()
    match kind:
        case "AutoEncoder":
            b_dec = tensors.tensor("bias", inputs)
            return SAE(W_enc, tensors.tensor("encoder.bias", features), W_dec, b_dec, standard.Function())
        case "AutoEncoderNew":
            b_dec = tensors.tensor("decoder.bias", inputs)
            sae = SAE(W_enc, tensors.tensor("encoder.bias", features), W_dec, b_dec, standard.Function())
            return without_input_bias(sae)
        case "GatedAutoEncoder":
            gate, mag, r_mag = (tensors.tensor(name, features) for name in ("gate_bias", "mag_bias", "r_mag"))
            return SAE(W_enc, gate, W_dec, tensors.tensor("decoder_bias", inputs), gated.Function(gate, mag, r_mag))
        case "AutoEncoderTopK":
            assert k is not None
            b_dec = tensors.tensor("b_dec", inputs)
            return SAE(W_enc, tensors.tensor("encoder.bias", features), W_dec, b_dec, topk.Function(k))
        case _:
            threshold = jumprelu.Function(_threshold(tensors, features))
            return SAE(
                W_enc, tensors.tensor("encoder.bias", features), W_dec, tensors.tensor("b_dec", inputs), threshold
            )


def _threshold(tensors: TensorFile, features: int) -> Float[Tensor, " feature"]:
    value = tensors.number("threshold")
    if value < 0:
        raise InputError(
            f"{tensors.path}: threshold is {value:g}, by which that library means that it is not set yet; the training "
            "ended before threshold_start_step, so without a batch the SAE has no features of its own"
        )
    return torch.full((features,), value)


def write(exported: Exported, folder: Path) -> None:
    """`ae.pt` and `config.json`. JumpReLU of that library subtracts no decoder bias, so it is folded into that of the
    encoder. InputError for an SAE that normalises its inputs."""
    require_plain_inputs(exported, "dictionary_learning")
    sae = exported.sae
    kind, state = _state(sae)
    trainer: dict[str, Any] = {"dict_class": kind, "activation_dim": sae.inputs, "dict_size": sae.features}
    trainer |= {"layer": exported.layer(), "lm_name": exported.model_name, "submodule_name": exported.site}
    if isinstance(sae.activation, topk.Function):
        trainer["k"] = sae.activation.k
        exported.missing.append("threshold is -1, which that library means for not set: this run does not measure it")
    length = exported.settings().get("context_size")
    buffer = {"d_submodule": sae.inputs} | ({} if length is None else {"ctx_len": length})
    with written(folder / WEIGHTS) as partial:
        torch.save(state, partial)
    write_json(folder / CONFIG, {"trainer": trainer, "buffer": buffer})


def _state(sae: SAE) -> tuple[str, dict[str, Tensor]]:
    """Name of the class and its state."""
    linear = {"encoder.weight": sae.W_enc.T.contiguous(), "decoder.weight": sae.W_dec.T.contiguous()}
    match sae.activation:
        case standard.Function():
            return "AutoEncoder", {"bias": sae.b_dec, "encoder.bias": sae.b_enc, **linear}
        case topk.Function(k=k):
            more = {"k": torch.tensor(k, dtype=torch.int), "threshold": torch.tensor(-1.0)}
            return "AutoEncoderTopK", {"b_dec": sae.b_dec, "encoder.bias": sae.b_enc, **linear, **more}
        case gated.Function(b_mag=b_mag, r_mag=r_mag):
            more = {"r_mag": r_mag, "gate_bias": sae.b_enc, "mag_bias": b_mag}
            return "GatedAutoEncoder", {"decoder_bias": sae.b_dec, **linear, **more}
        case jumprelu.Function(threshold=threshold):
            b_enc = (sae.b_enc.double() - sae.b_dec.double() @ sae.W_enc.double()).float()
            weights = {"W_enc": sae.W_enc, "b_enc": b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
            return "JumpReluAutoEncoder", weights | {"threshold": threshold}
    raise InputError(f"dictionary_learning has no class for {sae.activation.config()['architecture']}")
