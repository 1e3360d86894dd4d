"""Which way the letters of a text are read."""

import unicodedata
from collections.abc import Iterator, Sequence
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


def stretches(texts: Sequence[str]) -> Iterator[tuple[range, bool]]:
    """Places of texts in their order, and whether they read from the right: a stretch from the first text that does to
    the last, with nothing between that reads from the left. Every other text is a stretch of its own."""
    place = 0
    while place < len(texts):
        stop, further = place + 1, place
        is_run = reads_from_the_right(texts[place])
        while is_run and further < len(texts):
            if reads_from_the_right(texts[further]):
                stop = further + 1
            elif reads_from_the_left(texts[further]):
                break
            further += 1
        yield range(place, stop), is_run
        place = stop
