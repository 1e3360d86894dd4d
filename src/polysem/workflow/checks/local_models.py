"""Checks of local copies of models before any job starts. The step that imports them checks them again.

They import transformers, which is slow, so what was found to be good is remembered by the content of
its files.
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from polysem.io.errors import named
from polysem.models.hub import Repository, snapshot
from polysem.models.processing import native_obstacles, obstacles, refuse
from polysem.params.models.imported import ImportedModel
from polysem.params.models.transformer_lens import TransformerLensModel
from polysem.workflow.checks import checked


def check_local_model(where: str, model: ImportedModel, files: Iterable[Path]) -> None:
    """InputError if a local copy, whose files are given, cannot be imported or processed as the entry says."""
    stamp = checked.stamp(model, files, model.reader, __name__)
    checked.once(stamp, lambda: _look_over(where, model))


def _look_over(where: str, model: ImportedModel) -> None:
    keys = Repository.model_validate(model.origin())
    source = snapshot(keys, [])
    module = import_module(model.reader)
    with named(f"{where}.local_copy"):
        sound = module.check_weights(keys, source)
    with named(f"{where}.{'tokenizer' if keys.tokenizer else 'local_copy'}"):
        module.check_tokenizer(keys, source, sound)
    native = isinstance(model, TransformerLensModel)
    refuse(model.processing, native_obstacles(sound.config) if native else obstacles(sound.filling.model), where)
