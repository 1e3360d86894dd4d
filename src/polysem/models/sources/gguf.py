"""`source: transformers` whose local copy is one GGUF file, as llama.cpp reads them.

Config, weights and tokenizer are all in it. Quantised weights are written as the float32 numbers that they stand for,
which is what the model computes with.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from polysem.io.gguf_files import GgufFile, open_gguf
from polysem.models import hub_model
from polysem.models.filling import blank_model, causal_class, fill
from polysem.models.gguf_config import config_values
from polysem.models.gguf_tokenizer import gguf_tokenizer
from polysem.models.gguf_weights import gguf_weights
from polysem.models.hub import Repository, Snapshot, snapshot
from polysem.models.model_config import as_transformers_reads_it
from polysem.models.tokenizer import check_vocabulary, load_tokenizer
from polysem.models.tokenizer_file import is_local, tokenizer_file


@dataclass(frozen=True)
class Checked(hub_model.Checked):
    """A file whose config and weights fit each other."""

    file: GgufFile


def fetch(params: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Convert a GGUF file into the model folder; what is to be said of its origin, the number formats of its tensors
    among it (`stored_as`).

    InputError if the file is none, is damaged, or holds a model or a tokenizer that is not read; or if the package
    `gguf` is not installed.
    """
    keys = Repository.model_validate(params)
    source = snapshot(keys, [])
    checked = check_weights(keys, source)
    tokenizer, path = _tokenizer(keys, source, checked)
    check_vocabulary(tokenizer, checked.vocabulary, path)
    save = (lambda target: tokenizer.save(str(target))) if keys.tokenizer is None else partial(shutil.copyfile, path)
    hub_model.write(checked, save, folder)
    origin = {"commit": None, **checked.origin(), "stored_as": checked.file.kinds()}
    del checked  # the model is booted without it
    hub_model.try_written(folder, keys.where)
    return origin


def check_weights(keys: Repository, source: Snapshot) -> Checked:
    """Config and weights of a file; InputError if they do not fit each other, are no causal language model, or hold
    something else than finite numbers."""
    file = open_gguf(source.file(*source.names()))
    values = config_values(file)
    config = as_transformers_reads_it(file.path, values)
    weights = gguf_weights(file, blank_model(config, values, file.path))
    model_class = causal_class(config, values, file.path)
    checked = Checked(values, weights, fill(model_class, config, weights.shapes, keys.where, "its header"), file)
    hub_model.check(checked, keys.where)
    return checked


def check_tokenizer(keys: Repository, source: Snapshot, checked: Checked) -> None:
    """InputError if a tokenizer that is here cannot be read, or has a token that the model does not know."""
    if is_local(keys.tokenizer):
        tokenizer, path = _tokenizer(keys, source, checked)
        check_vocabulary(tokenizer, checked.vocabulary, path)


def _tokenizer(keys: Repository, source: Snapshot, checked: Checked) -> tuple[Tokenizer, Path]:
    """The tokenizer that is named, or the file's own, and the file that it is of."""
    if keys.tokenizer is None:
        return gguf_tokenizer(checked.file), checked.file.path
    path = tokenizer_file(source, keys.tokenizer, keys.where)
    return load_tokenizer(path), path
