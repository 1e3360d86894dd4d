"""Where the `tokenizer.json` of an imported model comes from."""

from pathlib import Path

from polysem.io.errors import InputError
from polysem.io.files import expanded
from polysem.models.hub import Repository, Snapshot, snapshot
from polysem.models.record import TOKENIZER
from polysem.params.base import possible_hub_id


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
    if (local := local_tokenizer(tokenizer)) is not None:
        return local
    other = snapshot(Repository(repository=tokenizer), [TOKENIZER])
    return tokenizer_file(other, None, tokenizer)


def is_local(tokenizer: str | None) -> bool:
    """Whether a tokenizer is here: the repository's own, or a file that is named."""
    return tokenizer is None or local_tokenizer(tokenizer) is not None


def local_tokenizer(named: str) -> Path | None:
    """The file that a `tokenizer` key names; None if it can only be a hub id.

    InputError for a folder, for a path at which there is nothing, and for what can be neither.
    """
    place = expanded(named)
    if place.is_file():
        return place
    if (place / TOKENIZER).is_file():
        raise InputError(f"tokenizer {named!r} is a folder; name the file in it, {named.rstrip('/')}/{TOKENIZER}")
    if named.startswith((".", "/", "~")) or named.endswith(".json") or named.count("/") > 1:
        raise InputError(f"tokenizer {named!r}: there is no such file; paths start at the folder of the Snakefile")
    try:
        possible_hub_id(named)
    except ValueError as error:
        raise InputError(f"tokenizer: there is no such file, and {error}") from None
    return None
