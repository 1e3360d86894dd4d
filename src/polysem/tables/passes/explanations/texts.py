"""Tokens in their texts, as rules read them: what each is, what stands before and behind it, and its tags."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from polysem.io.stores import open_store, read_array
from polysem.models.token_ids import read_ids
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary
from polysem.tables.parts.spelled import spelled
from polysem.tables.parts.token_tags import TokenTags

Read = Literal["token", "text"]
"""What a pattern is looked for in: the token alone, or the text that ends with it."""
LOOK_BACK = 64
"""Characters of a text, up to the end of the token, in which a pattern is looked for."""


@dataclass(frozen=True)
class Texts:
    """The tokens of some sequences, one after the other; their numbers are places in these arrays."""

    sequence: Int[np.ndarray, " token"]
    """Ascends."""
    position: Int[np.ndarray, " token"]
    """0, 1, 2 … in every sequence."""
    ids: Int[np.ndarray, " token"]
    tags: Bool[np.ndarray, "token tag"]
    names: tuple[str, ...]
    """Names of the tags."""
    text: dict[int, str]
    """By sequence."""
    ends: Int[np.ndarray, "token 2"]
    """Where each token begins and ends in its text."""
    _found: dict[tuple[str, Read], NDArray[np.bool_]] = field(default_factory=dict, repr=False)

    def numbers(
        self, sequence: Int[np.ndarray, "*shape"], position: Int[np.ndarray, "*shape"]
    ) -> Int[NDArray, "*shape"]:
        """The numbers of tokens by where they stand; −1 for one that is not there."""
        if not len(self.ids):
            return np.full(np.shape(sequence), -1)
        first = np.searchsorted(self.sequence, sequence)
        number = first + position
        there = (sequence >= 0) & (position >= 0) & (number < len(self.ids))
        there &= self.sequence[np.where(there, number, 0)] == sequence
        return np.where(there, number, -1)

    def previous(self, back: int) -> Int[NDArray, " token"]:
        """The token that stands so many places before each; −1 where the sequence begins behind it."""
        return self._shifted[back]

    @cached_property
    def following(self) -> Int[NDArray, " token"]:
        """The token behind each; −1 at the end of a sequence."""
        found = np.full(len(self.ids), -1, np.int64)
        found[:-1] = np.where(self.sequence[1:] == self.sequence[:-1], self.ids[1:], -1)
        return found

    @cached_property
    def _shifted(self) -> "dict[int, NDArray[np.int64]]":
        made = {}
        for back in range(1, LONGEST):
            found = np.full(len(self.ids), -1, np.int64)
            found[back:] = np.where(self.position[back:] >= back, self.ids[:-back], -1)
            made[back] = found
        return made

    def piece(self, token: int) -> str:
        """The characters of a token in its text."""
        start, stop = self.ends[token]
        return self.text[int(self.sequence[token])][start:stop]

    @cached_property
    def _pieces(self) -> tuple[list[str], NDArray[np.int64]]:
        """What pieces there are, and which of them each token is."""
        number: dict[str, int] = {}
        kind = [number.setdefault(self.piece(token), len(number)) for token in range(len(self.ids))]
        return list(number), np.array(kind, np.int64)

    def matches(self, pattern: str, read: Read) -> Bool[NDArray, " token"]:
        """In which tokens a regular expression is found, or in which texts that end with a token."""
        if (pattern, read) not in self._found:
            found = re.compile(pattern).search
            at = np.zeros(len(self.ids), bool)
            if read == "token":
                pieces, kind = self._pieces
                at = np.array([found(piece) is not None for piece in pieces], bool)[kind]
            else:
                for token, (sequence, end) in enumerate(
                    zip(self.sequence.tolist(), self.ends[:, 1].tolist(), strict=True)
                ):
                    at[token] = found(self.text[sequence], max(0, end - LOOK_BACK), end) is not None
            self._found[pattern, read] = at
        return self._found[pattern, read]


LONGEST = 3
"""Tokens that a rule reads, the token itself among them."""


def read_texts(store: Path, tokenizer: Path, sequences: Int[np.ndarray, " sequence"]) -> Texts:
    """Some sequences of a token store of a language model, with their tags; InputError if it cannot be read."""
    wanted, group = np.unique(sequences), open_store(store)
    vocabulary, tags = Vocabulary(load_tokenizer(tokenizer)), TokenTags(store)
    every = read_ids(group, 0, int(wanted[-1]) + 1 if len(wanted) else 0)
    width = read_array(group, "ids").shape[1]
    ids = every[wanted] if len(wanted) else np.zeros((0, width), np.int32)
    row, position = np.nonzero(ids >= 0)
    said = [spelled(of[of >= 0].tolist(), vocabulary) for of in ids]
    ends = np.concatenate([np.zeros((0, 2), np.int64), *(offsets for _, offsets in said)])
    return Texts(
        wanted[row],
        position,
        ids[row, position].astype(np.int64),
        tags.at(wanted[row], position),
        tags.names,
        {int(number): text for number, (text, _) in zip(wanted, said, strict=True)},
        ends,
    )
