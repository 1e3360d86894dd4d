"""Where the `tokenizer.json` of an imported model comes from."""

from pathlib import Path

from polysem.io.errors import InputError
from polysem.io.files import expanded
from polysem.models.hub import Repository, Snapshot, snapshot
from polysem.models.record import TOKENIZER


def tokenizer_file(source: Snapshot, tokenizer: str | None, where: str) -> Path:
    """The file named by the `tokenizer` key (a local file, or a hub id), or the repository's own; InputError if
    none."""
    if tokenizer is None:
        if TOKENIZER not in source.names():
            raise InputError(
                f"{where} has no {TOKENIZER}; set tokenizer to a local {TOKENIZER} or to the hub id of a repository "
                "that has one"
            )
        return source.file(TOKENIZER)
    local = expanded(tokenizer)
    if local.is_file():
        return local
    other = snapshot(Repository(repository=tokenizer), [TOKENIZER])
    return tokenizer_file(other, None, tokenizer)
