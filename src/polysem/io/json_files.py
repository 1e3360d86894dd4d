"""JSON files that steps wrote and others read."""

import json
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError


def read_object(path: Path, called: str = "") -> dict[str, Any]:
    """The object that a file holds. InputError, with what to do, where it holds none; the file is then `called` so, or
    by its path."""
    called = called or str(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{called} cannot be read ({error}); delete it and run again") from error
    if not isinstance(content, dict):
        raise InputError(f"{called} holds {type(content).__name__}, expected an object; delete it and run again")
    return content
