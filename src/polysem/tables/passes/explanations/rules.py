"""Explanations that can be executed: each says how active a feature is on a token, from the token and its text alone.

A rule is a value: `values` is what a JSON file holds of it, and `rule_of` reads that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from polysem.io.errors import InputError
from polysem.tables.passes.explanations.texts import LONGEST, Read, Texts


class Rule(Protocol):
    """What predicts the activation of a feature."""

    kind: ClassVar[str]
    """What files call rules of this class."""

    def predict(self, texts: Texts, token: Int[np.ndarray, " token"]) -> Float[NDArray, " token"]:
        """The activation, in the unit of the feature, at tokens by their numbers."""
        ...

    def values(self) -> dict[str, Any]:
        """The rule as plain JSON types."""
        ...


@dataclass(frozen=True)
class Endings:
    """The activation by the last tokens: of all that are known, the longest that the text up to the token ends with.

    With endings of one token each this is a rule of tokens; with one such ending a unigram.
    """

    kind: ClassVar[str] = "endings"
    level: Mapping[tuple[int, ...], float]
    """By ids, the token itself last."""

    def predict(self, texts: Texts, token: Int[np.ndarray, " token"]) -> Float[NDArray, " token"]:
        """0 where no ending fits."""
        found = np.zeros(len(token))
        read = [texts.ids[token], *(texts.previous(back)[token] for back in range(1, LONGEST))]
        for length in range(1, LONGEST + 1):
            known = [(ending, level) for ending, level in self.level.items() if len(ending) == length]
            if not known:
                continue
            last = np.array([ending[-1] for ending, _ in known])
            here = np.flatnonzero(np.isin(read[0], last))
            keys = _keys([of[here] for of in read[:length]])
            order = {
                key: level for (key, (_, level)) in zip(_keys(_columns(known, length)).tolist(), known, strict=True)
            }
            found[here] = [
                order.get(key, before) for key, before in zip(keys.tolist(), found[here].tolist(), strict=True)
            ]
        return found

    def values(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"kind": self.kind, "level": [[list(ending), level] for ending, level in self.level.items()]}


def _columns(known: list[tuple[tuple[int, ...], float]], length: int) -> list[NDArray[np.int64]]:
    return [np.array([ending[-1 - back] for ending, _ in known], np.int64) for back in range(length)]


def _keys(columns: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """One number for each row of ids: vocabularies have less than 2^21 tokens."""
    found = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        found = found << 21 | (column + 1)
    return found


@dataclass(frozen=True)
class Tagged:
    """Active on the tokens that carry a tag."""

    kind: ClassVar[str] = "tag"
    tag: str
    level: float

    def predict(self, texts: Texts, token: Int[np.ndarray, " token"]) -> Float[NDArray, " token"]:
        """0 without the tag; so is everything where the texts do not know it."""
        if self.tag not in texts.names:
            return np.zeros(len(token))
        return np.where(texts.tags[token, texts.names.index(self.tag)], self.level, 0.0)

    def values(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"kind": self.kind, "tag": self.tag, "level": self.level}


@dataclass(frozen=True)
class Matching:
    """Active where a regular expression is found, in the token or in the text that ends with it."""

    kind: ClassVar[str] = "pattern"
    pattern: str
    read: Read
    level: float

    def predict(self, texts: Texts, token: Int[np.ndarray, " token"]) -> Float[NDArray, " token"]:
        """0 where it is not found."""
        return np.where(texts.matches(self.pattern, self.read)[token], self.level, 0.0)

    def values(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"kind": self.kind, "pattern": self.pattern, "read": self.read, "level": self.level}


@dataclass(frozen=True)
class Ahead:
    """Active where one of some tokens comes next."""

    kind: ClassVar[str] = "ahead"
    tokens: tuple[int, ...]
    level: float

    def predict(self, texts: Texts, token: Int[np.ndarray, " token"]) -> Float[NDArray, " token"]:
        """0 where another token comes, and at the end of a sequence."""
        return np.where(np.isin(texts.following[token], self.tokens), self.level, 0.0)

    def values(self) -> dict[str, Any]:
        """See `Rule`."""
        return {"kind": self.kind, "tokens": list(self.tokens), "level": self.level}


def rule_of(values: Mapping[str, Any]) -> Rule:
    """The rule that `Rule.values` wrote. InputError for anything else."""
    try:
        match values["kind"]:
            case Endings.kind:
                return Endings({tuple(map(int, ending)): float(level) for ending, level in values["level"]})
            case Tagged.kind:
                return Tagged(str(values["tag"]), float(values["level"]))
            case Matching.kind if values["read"] in ("token", "text"):
                return Matching(str(values["pattern"]), values["read"], float(values["level"]))
            case Ahead.kind:
                return Ahead(tuple(map(int, values["tokens"])), float(values["level"]))
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{values!r:.200} is no rule of an explanation ({error}); delete the file and run again"
        ) from error
    raise InputError(f"{values!r:.200} is no rule of an explanation; delete the file and run again")
