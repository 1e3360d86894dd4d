"""When two tokens are the same, and when they have the same stem."""

from collections.abc import Callable

import numpy as np
import snowballstemmer
from jaxtyping import Int
from tokenizers import Tokenizer

from polysem.models.vocabulary import Vocabulary

MATCHES = ("exact", "stem")
"""How a feature's own top-activating token may match that of a text; whatever matches exactly has the same stem."""


class Alike:
    """Groups of tokens that count as the same.

    `exact`: the same token, or the same text but for white space in front and upper or lower case: ` Red` and `red`.
    Tokens of white space, or of parts of a character, are like themselves alone. `stem`: the same stem, by the Snowball
    stemmer for English (Porter 2), of tokens of nothing but the letters a to z: ` insights` and `insight`. Other
    tokens, of other scripts or with signs, have no stem but themselves.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._vocabulary = Vocabulary(tokenizer)
        self._stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
        self._numbers: dict[str | int, int] = {}
        self._known: dict[int, tuple[int, int]] = {}

    def groups(self, tokens: Int[np.ndarray, " token"]) -> Int[np.ndarray, "match token"]:
        """Numbers of the groups that tokens are in, for each of `MATCHES`; −1 for −1, which is no token."""
        different, place = np.unique(tokens, return_inverse=True)
        of_each = np.array([self._groups_of(token) for token in different.tolist()], np.int64).reshape(-1, len(MATCHES))
        return of_each[place].T

    def _groups_of(self, token: int) -> tuple[int, int]:
        if token < 0:
            return -1, -1
        if token not in self._known:
            word = self._word(token)
            stem = self._stem(word) if isinstance(word, str) and word.isascii() and word.isalpha() else word
            self._known[token] = (self._number(word), self._number(stem))
        return self._known[token]

    def _word(self, token: int) -> str | int:
        """What the token is without white space in front and in lower case; its own number where nothing, or no whole
        character, is left."""
        try:
            return self._vocabulary.piece(token).decode("utf-8").lstrip().casefold() or token
        except UnicodeDecodeError:
            return token

    def _number(self, word: str | int) -> int:
        return self._numbers.setdefault(word, len(self._numbers))
