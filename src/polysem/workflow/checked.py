"""What was found to be good before a run, by the content of its files, so that no call looks it over twice."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.code import code_digest
from polysem.io.content import content_digest, text_digest
from polysem.io.errors import InputError
from polysem.params.base import Section

MEMORY = FOLDER / "checked.json"
KEPT = 200
"""Models and SAEs that are remembered, the latest ones."""


def stamp(section: Section, files: Iterable[Path], *modules: str) -> str:
    """Of an entry of the params file, its files, and the modules that check them."""
    return text_digest(f"{code_digest(*modules)} {section.model_dump_json()} {content_digest(files)}")


def is_known(found: str) -> bool:
    """Whether this was looked over before."""
    return found in (read_cache(MEMORY) or [])


def remember(found: str) -> None:
    """Keep that it was found to be good; where nothing can be written, it is looked over at every call."""
    with contextlib.suppress(InputError):
        write_cache(MEMORY, [*(read_cache(MEMORY) or []), found][-KEPT:])
