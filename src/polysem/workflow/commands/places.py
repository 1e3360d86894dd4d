"""Paths that a user names for what a command writes, looked at before the work, so that none is lost."""

from pathlib import Path

from polysem.io.errors import InputError


def require_file_name(path: Path, option: str) -> None:
    """InputError if no file can be written there: the path is a folder, or below a file."""
    if path.is_dir():
        raise InputError(f"{option}: {path} is a folder; name a file")
    require_in_folders(path, option)


def require_in_folders(path: Path, option: str) -> None:
    """InputError if a path is below something that is no folder."""
    above = next((parent for parent in path.parents if parent.exists()), None)
    if above is not None and not above.is_dir():
        raise InputError(f"{option}: {above} is no folder, so nothing can be written below it; name another path")
