"""Mappings by the names of a study, in which a wrong name is answered with the nearest one."""

import operator
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TypeVar

from polysem.io.errors import InputError
from polysem.params.explain import nearest

T = TypeVar("T")


class UnknownNameError(InputError, KeyError):
    """There is nothing of this name: an `InputError` and a `KeyError` at once. The message says what there is."""

    def __str__(self) -> str:
        """The sentence as it is; a KeyError would show it in quotes."""
        return str(self.args[0])


def as_number(number: object, kind: str, where: str) -> int:
    """An integer of Python or NumPy as one of Python. TypeError, with what was found, for anything else, bool too."""
    name = type(number).__name__
    if name not in ("bool", "bool_"):
        try:
            return operator.index(number)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise TypeError(f"found {number!r} ({name}); a {kind} of {where} is asked for by its number from 0, an integer")


def as_path(path: object, what: str) -> Path:
    """A path. TypeError, with what was found, for what is neither text nor a path."""
    if not isinstance(path, str | PathLike):
        raise TypeError(f"found {path!r} ({type(path).__name__}); {what} takes the path of a folder or file, as text")
    return Path(path)


class Named(Mapping[str, T]):
    """Things by their names, opened when they are asked for, each once."""

    _kind: str
    """What the things are, in one word."""

    def __init__(self) -> None:
        self._opened: dict[str, T] = {}

    @property
    @abstractmethod
    def _names(self) -> list[str]:
        """All names, in their order."""

    @abstractmethod
    def _open(self, name: str) -> T:
        """The thing of a name that is among them."""

    @property
    @abstractmethod
    def _where(self) -> str:
        """What holds the things, in words."""

    def _hint(self, name: str) -> str:
        """What else to say of a name that is not among them."""
        return ""

    def __getitem__(self, name: str) -> T:
        """The thing of this name. Raises UnknownNameError, with the nearest name."""
        if name not in self._names:
            there = ", ".join(self._names) or "none"
            hint = self._hint(name) or nearest(str(name), self._names)
            raise UnknownNameError(f"{self._where} has no {self._kind} {name!r}{hint}; there are: {there}")
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        """All names, in their order."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        """Whether there is one of this name; nothing is opened."""
        return name in self._names

    def _ipython_key_completions_(self) -> list[str]:
        return self._names
