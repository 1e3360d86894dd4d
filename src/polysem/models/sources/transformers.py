"""`source: transformers`: a repository in the hub's own form.

Weights are safetensors, or, where a repository has no others (TinyStories-2Layers-33M), pickles of `torch.save`: these
are read as tensors and nothing else, and written as safetensors.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError
from polysem.models.filling import Filling, causal_class, fill
from polysem.models.hub import PICKLED_WEIGHTS, SAFE_WEIGHTS, Repository, Snapshot, snapshot
from polysem.models.masks import is_causal_mask
from polysem.models.model_config import read_model_config
from polysem.models.record import CONFIG, TOKENIZER, WEIGHTS
from polysem.models.stored_weights import StoredWeights, find_weights, read_checked
from polysem.models.tokenizer import check_vocabulary, load_tokenizer
from polysem.models.tokenizer_file import tokenizer_file


@dataclass(frozen=True)
class Checked:
    """A repository whose files fit each other."""

    config: dict[str, Any]
    """As it is written in `config.json`."""
    weights: StoredWeights
    filling: Filling


def fetch(params: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Copy config, weights and tokenizer into the model folder; what is to be said of their origin.

    InputError if the repository has no config, no tokenizer, no weights, or such that do not fit each other; if it is
    no causal language model, or one that cannot be studied; or if pickled weights have more than tensors in them,
    which could run code and are not run.
    """
    keys = Repository.model_validate(params)
    source = snapshot(keys, _patterns)
    if CONFIG not in source.names():
        raise InputError(f"{keys.where} has no {CONFIG}; a transformers model has one")
    checked = check_weights(source, keys.where)
    tokenizer = tokenizer_file(source, tokenizer_name(keys, source, checked), keys.where)
    check_tokenizer(tokenizer, checked)
    from polysem.models.boot import boot_transformers  # slow to import, and no error waits for it
    from polysem.models.certify import certify
    from polysem.models.trial import try_out

    try:
        with written(folder / WEIGHTS) as partial:
            _write_weights(checked.weights, partial)
        with written(folder / TOKENIZER) as partial:
            shutil.copyfile(tokenizer, partial)
        write_json(folder / CONFIG, checked.config)
        bridge = boot_transformers(folder, keys.where)
        try_out(bridge, keys.where)
        certify(bridge, folder, keys.where)
    except InputError:
        for name in (WEIGHTS, TOKENIZER, CONFIG):
            (folder / name).unlink(missing_ok=True)
        raise
    aside = sorted([*checked.filling.ignored, *checked.filling.masks])
    return {"commit": source.commit, "ignored_tensors": aside, "tied_tensors": checked.filling.tied}


def check_weights(source: Snapshot, where: str) -> Checked:
    """Config and weights of a repository; InputError if they do not fit each other, are no causal language model, or
    hold something else than finite numbers."""
    weights = find_weights(source, where)
    config, written_config = read_model_config(source.file(CONFIG))
    model_class = causal_class(config, written_config, source.folder / CONFIG)
    checked = Checked(written_config, weights, fill(model_class, config, weights.shapes, where))
    _check_embeddings(checked, where)
    _check_values(checked, where)
    return checked


def tokenizer_name(keys: Repository, source: Snapshot, checked: Checked) -> str | None:
    """The tokenizer that is named, a local file or a hub id; None for the repository's own."""
    return keys.tokenizer


def check_tokenizer(tokenizer: Path, checked: Checked) -> None:
    """InputError if the tokenizer has a token that the model does not know."""
    embeddings = (checked.filling.model.get_input_embeddings(), checked.filling.model.get_output_embeddings())
    check_vocabulary(load_tokenizer(tokenizer), min(each.weight.shape[0] for each in embeddings), tokenizer)


def _check_embeddings(checked: Checked, where: str) -> None:
    """InputError if anything but norms stands between the residual stream and the logits: what a neuron adds to them
    would not be known from W_U."""
    model = checked.filling.model
    unembedding, residual = model.get_output_embeddings(), model.config.get_text_config().hidden_size
    if unembedding is None or unembedding.weight.shape[1] != residual:
        found = "none" if unembedding is None else f"one that reads {unembedding.weight.shape[1]} numbers"
        raise InputError(
            f"{where}: its residual stream has {residual} numbers and its unembedding is {found}, with a projection "
            "between them (as in OPT 350m); such models are not studied"
        )


def _patterns(names: list[str]) -> list[str]:
    """What is downloaded of a repository with these files: pickles only where there are no safetensors."""
    if set(SAFE_WEIGHTS).isdisjoint(names) and not set(PICKLED_WEIGHTS).isdisjoint(names):
        return [CONFIG, TOKENIZER, *PICKLED_WEIGHTS, "pytorch_model-*.bin"]
    return [CONFIG, TOKENIZER, *SAFE_WEIGHTS, "model-*.safetensors"]


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
    """All weights in one file. What the model's class leaves aside stays there."""
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


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
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
