"""Kinds of entries, each with a class of its own that is found by the name of its module."""

from importlib import import_module
from typing import TypeVar

from polysem.params.base import Section

Base = TypeVar("Base", bound=Section)


def own_class(module: str, base: type[Base], tag: str, kind: str) -> type[Base] | None:
    """The class that a module defines for entries whose key `tag` is `kind`; None if it defines none."""
    found = import_module(module)
    for value in vars(found).values():
        if not (isinstance(value, type) and issubclass(value, base) and value.__module__ == found.__name__):
            continue
        if kind in getattr(value.model_fields[tag].annotation, "__args__", ()):
            return value
    return None


def is_list(section: type[Section], key: str) -> bool:
    """Whether a value of a key may be a list, by its annotation; in a recipe such a key spans no grid."""
    return _holds_list(section.model_fields[key].annotation)


def _holds_list(annotation: object) -> bool:
    return getattr(annotation, "__origin__", None) is list or any(
        _holds_list(argument) for argument in getattr(annotation, "__args__", ())
    )
