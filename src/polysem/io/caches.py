"""Small JSON files below `.cache` that may be lost at any time: with a checksum, so that a torn one counts as none."""

import hashlib
import json
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from polysem.io.atomic import permissions
from polysem.io.errors import InputError

FOLDER = Path(".cache")


def read_cache(path: Path) -> Any:
    """What was kept, or None if there is nothing, or nothing whole."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["content"] if kept["sha256"] == _digest(kept["content"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_cache(path: Path, content: Any) -> None:
    """Keep a JSON value, whole or not at all. InputError if it cannot be written."""
    text = json.dumps({"sha256": _digest(content), "content": content})
    place_text(path, text)


def place_text(path: Path, text: str) -> None:
    """Write a file under a name of its own and rename it: another process may write the same one at the same time.

    InputError if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as fresh:
            fresh.write(text)
        Path(fresh.name).chmod(permissions())
        Path(fresh.name).replace(path)
    except OSError as error:
        raise InputError(_refusal(path, error)) from None


def require_folder() -> None:
    """InputError if nothing can be kept, which a run needs for checkpoints and long params."""
    for folder in (FOLDER, *(path for path in FOLDER.glob("*") if path.is_dir())):
        require_writable(folder)


def require_writable(folder: Path) -> None:
    """InputError if no file can be kept in a folder, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        NamedTemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(_refusal(folder, error)) from None


def _refusal(path: Path, error: OSError) -> str:
    return (
        f"{path} cannot be written ({error.strerror}); polysem keeps digests, params and checkpoints below {FOLDER}: "
        "make that folder writable and see that the disk has space"
    )


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
