"""sparsify: `cfg.json` and `sae.safetensors`."""

from pathlib import Path

from polysem.io.config_files import read_config, whole_number
from polysem.io.errors import InputError
from polysem.io.tensor_files import TensorFile, open_tensors
from polysem.models.modules import module_place
from polysem.saes.activation_functions import topk
from polysem.saes.published import Published, Settings, Weights
from polysem.saes.sae import CONFIG, SAE

WEIGHTS = "sae.safetensors"
RUN = "../config.json"


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
        module=weights.parent.name if module_place(weights.parent.name) else None,
        context_size=None if length is None else whole_number(length, "ctx_len", weights.parent / RUN),
        fold_ln=False,
        center_writing_weights=False,
    )
    notes = () if settings.module else ("the folder is not called as a module of a layer: hook not known",)
    return Published(inputs, features, settings, lambda: Weights(_sae(tensors, inputs, features, k)), notes=notes, k=k)


def _sae(tensors: TensorFile, inputs: int, features: int, k: int) -> SAE:
    return SAE(
        tensors.tensor("encoder.weight", features, inputs).T.contiguous(),
        tensors.tensor("encoder.bias", features),
        tensors.tensor("W_dec", features, inputs),
        tensors.tensor("b_dec", inputs),
        topk.Function(k),
    )
