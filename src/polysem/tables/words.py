"""Tokens as text in tables."""

from collections.abc import Callable
from pathlib import Path


def words(tokenizer: Path | None) -> Callable[[int], str]:
    """What a token is called: its text; without a tokenizer the number of its class; and nothing for −1, which is none.

    A NUL, which byte-level tokens have, becomes ␀: netCDF takes no text with one.
    """
    if tokenizer is None:
        return lambda token: str(token) if token >= 0 else ""
    from polysem.models.tokenizer import load_tokenizer

    reader = load_tokenizer(tokenizer)

    def text(token: int) -> str:
        found = str(reader.decode([token], skip_special_tokens=False)) if token >= 0 else ""
        return found.replace("\0", "␀")

    return text
