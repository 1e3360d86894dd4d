"""A place for the caches of libraries where the home folder takes none, as in containers and on some clusters."""

import os
from pathlib import Path

from polysem.io.caches import FOLDER, require_writable
from polysem.io.files import expanded

VARIABLE = "XDG_CACHE_HOME"
"""Below it Snakemake, huggingface_hub and Numba keep what they downloaded and compiled, and stop where they cannot."""


def provide(fallback: Path = FOLDER / "home") -> None:
    """Send the caches of this process and of its children to `fallback` if the user's own cannot be written.

    InputError if that cannot be written either.
    """
    folder = expanded(os.environ.get(VARIABLE) or "~/.cache")
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        require_writable(fallback)
        os.environ[VARIABLE] = str(fallback.absolute())
