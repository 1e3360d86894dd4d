"""Checks of local copies of models before any job starts. The step that imports them checks them again.

They take seconds, most of them to import transformers, so what was found to be good is remembered by the content of
its files.
"""

import contextlib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.code import code_digest
from polysem.io.content import content_digest, text_digest
from polysem.io.errors import InputError
from polysem.io.files import expanded
from polysem.models.hub import Repository, snapshot
from polysem.models.processing import native_obstacles, obstacles, refuse
from polysem.models.record import TOKENIZER
from polysem.params.models.transformer_lens import TransformerLensModel
from polysem.params.models.transformers import TransformersModel

MEMORY = FOLDER / "checked_models.json"
KEPT = 100
"""Models that are remembered, the latest ones."""


def check_local_model(where: str, model: TransformersModel | TransformerLensModel, files: Iterable[Path]) -> None:
    """InputError if a local copy, whose files are given, cannot be imported or processed as the entry says."""
    stamp = _stamp(model, files)
    if stamp in _remembered():
        return
    keys = Repository.model_validate(model.model_dump(include=set(Repository.model_fields)))
    source = snapshot(keys, [])
    module = import_module(f"polysem.models.sources.{model.source}")
    try:
        checked = module.check_weights(source, keys.where)
        if keys.tokenizer is not None and expanded(keys.tokenizer).is_file():
            module.check_tokenizer(expanded(keys.tokenizer), checked)
        elif keys.tokenizer is None and TOKENIZER in source.names():
            module.check_tokenizer(source.file(TOKENIZER), checked)
    except InputError as error:
        raise InputError(f"{where}.local_copy: {error}") from None
    native = isinstance(model, TransformerLensModel)
    refuse(model.processing, native_obstacles(checked.config) if native else obstacles(checked.filling.model), where)
    _remember(stamp)


def _stamp(model: TransformersModel | TransformerLensModel, files: Iterable[Path]) -> str:
    code = code_digest(f"polysem.models.sources.{model.source}", __name__)
    return text_digest(f"{code} {model.model_dump_json()} {content_digest(files)}")


def _remembered() -> list[str]:
    return read_cache(MEMORY) or []


def _remember(stamp: str) -> None:
    with contextlib.suppress(InputError):  # where nothing can be written, the models are checked at every call
        write_cache(MEMORY, [*_remembered(), stamp][-KEPT:])
