"""Tokens as text in tables."""

from collections.abc import Callable
from pathlib import Path


def words(tokenizer: Path | None) -> Callable[[int], str]:
    """What a token is called: its text; without a tokenizer the number of its class; and nothing for −1, which is none.

    Bytes that are no text by themselves are spelled out, as `\\xe2`. A NUL, which byte-level tokens have, becomes ␀:
    netCDF takes no text with one.
    """
    if tokenizer is None:
        return lambda token: str(token) if token >= 0 else ""
    from polysem.models.tokenizer import load_tokenizer
    from polysem.models.vocabulary import Vocabulary

    vocabulary = Vocabulary(load_tokenizer(tokenizer))

    def text(token: int) -> str:
        found = vocabulary.piece(token).decode("utf-8", "backslashreplace") if token >= 0 else ""
        return found.replace("\0", "␀")

    return text
