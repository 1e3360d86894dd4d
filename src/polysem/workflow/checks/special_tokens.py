"""Checks of the tokens that a model entry names, before any job starts."""

from collections.abc import Mapping
from pathlib import Path

from polysem.io.errors import InputError, named
from polysem.io.files import expanded
from polysem.models.record import TOKENIZER
from polysem.models.tokenizer_file import local_tokenizer
from polysem.params.models.imported import ImportedModel, is_gguf
from polysem.params.models.trained import TrainedModel
from polysem.params.study import Study
from polysem.workflow.checks import checked


def check(study: Study) -> None:
    """InputError for a BOS or mask token that the tokenizer has not, as far as that is known before it is there."""
    for name, model in study.models.items():
        if isinstance(model, TrainedModel):
            _check_learned(f"models.{name}", model)
        elif isinstance(model, ImportedModel):
            _check_file(f"models.{name}", model)


def _check_learned(where: str, model: TrainedModel) -> None:
    """A tokenizer that is trained here has its BOS token and pieces of words: letters, digits or signs, never mixed."""
    for token in model.mask_tokens:
        if token != model.bos_token and not _is_piece(token):
            raise InputError(
                f"{where}.mask_tokens names {token!r}, which the tokenizer trained here cannot have; its only special "
                f"token is bos_token, {model.bos_token!r}"
            )


def _is_piece(token: str) -> bool:
    from tokenizers import decoders, pre_tokenizers

    if not token or not set(token) <= set(pre_tokenizers.ByteLevel.alphabet()):
        return False
    text = decoders.ByteLevel().decode([token])
    return len(pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)) == 1


def _check_file(where: str, model: ImportedModel) -> None:
    """The tokens against the tokenizer of an imported model, where that is in a local file."""
    tokens = {"bos_token": [model.bos_token] if model.bos_token else [], "mask_tokens": model.mask_tokens}
    file = _local_file(model)
    if file is not None and any(tokens.values()):  # a large tokenizer is slow to read
        checked.once(checked.stamp(model, [file], __name__), lambda: _look_up(where, file, tokens))


def _look_up(where: str, file: Path, by_key: Mapping[str, list[str]]) -> None:
    from polysem.io.gguf_files import open_gguf
    from polysem.models.gguf_tokenizer import gguf_tokenizer
    from polysem.models.tokenizer import load_tokenizer, token_id

    with named(where):
        tokenizer = gguf_tokenizer(open_gguf(file)) if is_gguf(file.name) else load_tokenizer(file)
    for key, tokens in by_key.items():
        for token in tokens:
            try:
                token_id(tokenizer, token)
            except InputError as error:
                raise InputError(f"{where}.{key}: {error} ({file})") from None


def _local_file(model: ImportedModel) -> Path | None:
    if model.tokenizer is not None:
        return local_tokenizer(model.tokenizer)
    if model.local_copy is None:
        return None
    copy = expanded(model.local_copy)
    own = copy if is_gguf(model.local_copy) else copy / TOKENIZER
    return own if own.is_file() else None
