"""Which way the letters of a text are read."""

import unicodedata
from functools import lru_cache

RIGHT_TO_LEFT = {"R", "AL"}


@lru_cache(maxsize=65_536)
def reads_from_the_right(text: str) -> bool:
    """Whether a letter of the text belongs to a script that is written from right to left."""
    return any(unicodedata.bidirectional(letter) in RIGHT_TO_LEFT for letter in text)


@lru_cache(maxsize=65_536)
def reads_from_the_left(text: str) -> bool:
    """Whether a letter of the text belongs to a script that is written from left to right."""
    return any(unicodedata.bidirectional(letter) == "L" for letter in text)
