"""A model in the hub's own form: its parts held against each other, written into a model folder, and tried there."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError
from polysem.models.filling import Filling
from polysem.models.masks import is_causal_mask
from polysem.models.record import CONFIG, TOKENIZER, WEIGHTS
from polysem.models.stored_weights import StoredWeights, read_checked


@dataclass(frozen=True)
class Checked:
    """A config and weights that fit each other."""

    config: dict[str, Any]
    """What `config.json` says."""
    weights: StoredWeights
    filling: Filling

    @property
    def vocabulary(self) -> int:
        """Tokens that the model knows."""
        model = self.filling.model
        return min(each.weight.shape[0] for each in (model.get_input_embeddings(), model.get_output_embeddings()))

    def origin(self) -> dict[str, Any]:
        """What is to be said of weights that are not in the file, and of tensors in it that are no weights."""
        aside = sorted([*self.filling.ignored, *self.filling.masks])
        return {"ignored_tensors": aside, "tied_tensors": self.filling.tied}


def check(checked: Checked, where: str) -> None:
    """InputError for weights that hold something else than finite numbers, and for a model with anything but norms
    between residual stream and logits."""
    _check_embeddings(checked, where)
    _check_values(checked, where)


def write(checked: Checked, save_tokenizer: Callable[[Path], object], folder: Path) -> None:
    """Write weights, tokenizer and config into a model folder. What the model's class leaves aside stays there."""
    with written(folder / WEIGHTS) as partial:
        _write_weights(checked.weights, partial)
    with written(folder / TOKENIZER) as partial:
        save_tokenizer(partial)
    write_json(folder / CONFIG, checked.config)


def try_written(folder: Path, where: str) -> None:
    """Boot the model of a folder, and hold it against transformers' own; InputError, and an empty folder, if it is no
    causal language model or cannot be studied."""
    from polysem.models.boot import boot_transformers  # slow to import, and no error waits for it
    from polysem.models.certify import certify
    from polysem.models.trial import try_out

    try:
        bridge = boot_transformers(folder, where)
        try_out(bridge, where)
        certify(bridge, folder, where)
    except InputError:
        for name in (WEIGHTS, TOKENIZER, CONFIG):
            (folder / name).unlink(missing_ok=True)
        raise


def _check_embeddings(checked: Checked, where: str) -> None:
    """What a neuron adds to the logits would not be known from W_U with anything else than norms in front of it."""
    model = checked.filling.model
    unembedding, residual = model.get_output_embeddings(), model.config.get_text_config().hidden_size
    if unembedding is None or unembedding.weight.shape[1] != residual:
        found = "none" if unembedding is None else f"one that reads {unembedding.weight.shape[1]} numbers"
        raise InputError(
            f"{where}: its residual stream has {residual} numbers and its unembedding is {found}, with a projection "
            "between them (as in OPT 350m); such models are not studied"
        )


def _check_values(checked: Checked, where: str) -> None:
    """InputError for weights that are no finite numbers, and for something left over that is no mask."""
    weights, window = checked.weights, _window(checked)
    for name in weights.shapes:
        if name in checked.filling.masks:
            if not is_causal_mask(weights.tensor(name), window):
                local = f", nor one of the last {window} tokens, as its config.json says" if window else ""
                raise InputError(f"{where}: {name} is left over, and is no causal mask{local}")
        elif name not in checked.filling.ignored:
            read_checked(weights, name)


def _write_weights(weights: StoredWeights, target: Path) -> None:
    """All weights in one file."""
    if weights.whole is not None:
        shutil.copyfile(weights.whole, target)
    else:
        tensors = {name: weights.tensor(name) for name in weights.shapes}
        save_file(_apart(tensors), target, metadata={"format": "pt"})


def _window(checked: Checked) -> int | None:
    """How many tokens local attention looks at, if the config says so."""
    config = checked.filling.model.config
    window = getattr(config, "window_size", None)
    return window if isinstance(window, int) else None


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share their numbers get their own, as safetensors has no sharing: which of two tied names a model
    may lack is for its config to say, and with both there is nothing to guess."""
    taken: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        apart[name] = tensor if whole and place not in taken else tensor.clone(memory_format=torch.contiguous_format)
        taken.add(place)
    return apart
