"""`source: transformers`: a repository in the hub's own form.

Weights are safetensors, or, where a repository has no others (TinyStories-2Layers-33M), pickles of `torch.save`: these
are read as tensors and nothing else, and written as safetensors.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.models.filling import causal_class, fill
from polysem.models.hub import PICKLED_WEIGHTS, SAFE_WEIGHTS, Repository, Snapshot, snapshot
from polysem.models.hub_model import Checked, check, try_written, write
from polysem.models.model_config import read_model_config
from polysem.models.record import CONFIG, TOKENIZER
from polysem.models.stored_weights import find_weights
from polysem.models.tokenizer import check_vocabulary, load_tokenizer
from polysem.models.tokenizer_file import is_local, tokenizer_file


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
    checked = check_weights(keys, source)
    tokenizer = tokenizer_file(source, keys.tokenizer, keys.where)
    check_vocabulary(load_tokenizer(tokenizer), checked.vocabulary, tokenizer)
    write(checked, partial(shutil.copyfile, tokenizer), folder)
    origin = {"commit": source.commit, **checked.origin()}
    del checked  # weights that were read need not stay while the model is booted
    try_written(folder, keys.where)
    return origin


def check_weights(keys: Repository, source: Snapshot) -> Checked:
    """Config and weights of a repository; InputError if they do not fit each other, are no causal language model, or
    hold something else than finite numbers."""
    weights = find_weights(source, keys.where)
    config, written_config = read_model_config(source.file(CONFIG))
    model_class = causal_class(config, written_config, source.folder / CONFIG)
    filling = fill(model_class, config, weights.shapes, keys.where)
    checked = Checked(written_config, weights, filling)
    check(checked, keys.where)
    return checked


def check_tokenizer(keys: Repository, source: Snapshot, checked: Checked) -> None:
    """InputError if a tokenizer that is here has a token that the model does not know."""
    if is_local(keys.tokenizer):
        path = tokenizer_file(source, keys.tokenizer, keys.where)
        check_vocabulary(load_tokenizer(path), checked.vocabulary, path)


def _patterns(names: list[str]) -> list[str]:
    """What is downloaded of a repository with these files: pickles only where there are no safetensors."""
    if set(SAFE_WEIGHTS).isdisjoint(names) and not set(PICKLED_WEIGHTS).isdisjoint(names):
        return [CONFIG, TOKENIZER, *PICKLED_WEIGHTS, "pytorch_model-*.bin"]
    return [CONFIG, TOKENIZER, *SAFE_WEIGHTS, "model-*.safetensors"]
