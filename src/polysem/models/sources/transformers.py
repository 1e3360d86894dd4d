"""`source: transformers`: a repository in the hub's own form.

Weights are safetensors, or, where a repository has no others (TinyStories-2Layers-33M), pickles of `torch.save`: these
are read as tensors and nothing else, and written as safetensors.
"""

import json
import shutil
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError
from polysem.io.tensor_files import read_config, read_state
from polysem.models.hub import PICKLED, PICKLED_WEIGHTS, SAFE_WEIGHTS, Repository, Snapshot, snapshot
from polysem.models.record import CONFIG, TOKENIZER, WEIGHTS
from polysem.models.tokenizer_file import tokenizer_file


def fetch(params: dict[str, Any], folder: Path) -> str | None:
    """Copy config, weights and tokenizer into the model folder; the commit that they come from.

    InputError if the repository has no config, no tokenizer, no weights, or pickled ones with more than tensors in
    them, which could run code and are not run.
    """
    keys = Repository.model_validate(params)
    source = snapshot(keys, _patterns)
    if CONFIG not in source.names():
        raise InputError(f"{keys.where} has no {CONFIG}; a transformers model has one")
    config = json.loads((source.folder / CONFIG).read_text(encoding="utf-8"))
    if "auto_map" in config:
        raise InputError(f"{keys.where} needs its own code to load (auto_map in {CONFIG}), which is never run")
    with written(folder / WEIGHTS) as partial:
        _write_weights(source, partial, keys.where)
    with written(folder / TOKENIZER) as partial:
        shutil.copyfile(tokenizer_file(source, keys.tokenizer, keys.where), partial)
    write_json(folder / CONFIG, config)
    return source.commit


def _patterns(names: list[str]) -> list[str]:
    """What is downloaded of a repository with these files: pickles only where there are no safetensors."""
    if set(SAFE_WEIGHTS).isdisjoint(names) and not set(PICKLED_WEIGHTS).isdisjoint(names):
        return [CONFIG, TOKENIZER, *PICKLED_WEIGHTS, "pytorch_model-*.bin"]
    return [CONFIG, TOKENIZER, *SAFE_WEIGHTS, "model-*.safetensors"]


def _write_weights(source: Snapshot, target: Path, where: str) -> None:
    names = source.names()
    if WEIGHTS in names:
        shutil.copyfile(source.folder / WEIGHTS, target)
        return
    tensors: dict[str, Tensor] = {}
    for (whole, index), read in ((SAFE_WEIGHTS, _read_safetensors), (PICKLED_WEIGHTS, read_state)):
        if whole in names or index in names:
            for file in [whole] if whole in names else _shards(source.folder / index):
                tensors |= read(source.folder / file)
            save_file(_apart(tensors), target, metadata={"format": "pt"})
            return
    other = ", ".join(name for name in names if name.endswith(PICKLED))
    raise InputError(
        f"{where} holds no weights{f' but {other}' if other else ''}; {SAFE_WEIGHTS[0]} or {PICKLED_WEIGHTS[0]} is "
        "needed: save the model with save_pretrained"
    )


def _shards(index: Path) -> list[str]:
    """Names of the files that an index names, each beside it; InputError if it is no index or names any others."""
    found = read_config(index).get("weight_map")
    names = sorted(set(found.values())) if isinstance(found, dict) and all(map(_is_name, found.values())) else []
    if not names:
        raise InputError(f"{index} names no files of weights beside it (weight_map); it is damaged")
    return names


def _is_name(value: object) -> bool:
    """Whether it is the name of a file, and no path to another folder."""
    return isinstance(value, str) and PurePath(value).name == value and value not in ("", "..")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); it is missing, truncated or damaged") from None


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
