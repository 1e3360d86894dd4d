"""`source: transformers`: a repository in the hub's own form, with its weights as safetensors."""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from polysem.io.atomic import write_json, written
from polysem.io.errors import InputError
from polysem.models.hub import PICKLED, Repository, Snapshot, snapshot
from polysem.models.record import CONFIG, TOKENIZER, WEIGHTS
from polysem.models.tokenizer_file import tokenizer_file

SHARDS = "model.safetensors.index.json"


def fetch(params: dict[str, Any], folder: Path) -> str | None:
    """Copy config, weights and tokenizer into the model folder; the commit that they come from.

    InputError if the repository has no config, no tokenizer, or its weights only as pickles, which may run code.
    """
    keys = Repository.model_validate(params)
    source = snapshot(
        keys,
        [CONFIG, TOKENIZER, WEIGHTS, SHARDS, "model-*.safetensors"],
    )
    if CONFIG not in source.names():
        raise InputError(f"{keys.where} has no {CONFIG}; a transformers model has one")
    config = json.loads((source.folder / CONFIG).read_text(encoding="utf-8"))
    if "auto_map" in config:
        raise InputError(f"{keys.where} needs its own code to load (auto_map in {CONFIG}), which is never run")
    with written(folder / WEIGHTS) as partial:
        _copy_weights(source, partial, keys.where)
    with written(folder / TOKENIZER) as partial:
        shutil.copyfile(tokenizer_file(source, keys.tokenizer, keys.where), partial)
    write_json(folder / CONFIG, config)
    return source.commit


def _copy_weights(source: Snapshot, target: Path, where: str) -> None:
    names = source.names()
    if WEIGHTS in names:
        shutil.copyfile(source.folder / WEIGHTS, target)
        return
    if SHARDS not in names:
        pickled = [name for name in names if name.endswith(PICKLED)]
        found = f"only pickled weights ({', '.join(pickled)}), which can run code" if pickled else "no weights"
        raise InputError(f"{where} holds {found}; {WEIGHTS} is needed: save the model with safe_serialization=True")
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(json.loads((source.folder / SHARDS).read_text(encoding="utf-8"))["weight_map"].values())):
        with safe_open(source.folder / shard, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    save_file(tensors, target, metadata={"format": "pt"})
