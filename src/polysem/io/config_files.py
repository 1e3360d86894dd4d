"""Configs that strangers wrote, and the numbers in them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeGuard

from polysem.io.errors import InputError

CONFIG_BYTES = 16_000_000


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object; InputError if it is missing, too large or anything else."""
    try:
        if path.stat().st_size > CONFIG_BYTES:
            raise InputError(f"{path} has {path.stat().st_size:,} bytes; a config has at most {CONFIG_BYTES:,}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({type(error).__name__}: {error})") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__}, expected an object with keys")
    return value


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value of JSON is a number; true and false are whole numbers in Python alone."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole_number(value: Any, name: str, where: Iterable[object] | Path, least: int = 1) -> int:
    """The value if it is a whole number of at least `least`; InputError that names key and file otherwise."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{where}: {name} is {value!r}, expected a whole number of at least {least}")
    return value
