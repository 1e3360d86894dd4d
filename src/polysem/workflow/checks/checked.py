"""What was found to be good before a run, by the content of its files, so that no call looks it over twice."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.content import content_digest, text_digest
from polysem.io.errors import InputError
from polysem.params.base import Section
from polysem.workflow.running.code import code_digest

MEMORY = FOLDER / "checked.json"
KEPT = 200
"""Models, SAEs and other files that are remembered, the latest ones."""


def stamp(section: Section | None, files: Iterable[Path], *modules: str) -> str:
    """Of an entry of the params file, files, and the modules that check them."""
    keys = section.model_dump_json() if section else ""
    return text_digest(f"{code_digest(*modules)} {keys} {content_digest(files)}")


def once(found: str, look: Callable[[], object]) -> None:
    """Look over what a stamp is of, which raises InputError where it is not good, unless that was done before. Where
    nothing can be written it is looked over at every call."""
    known = read_cache(MEMORY) or []
    if found not in known:
        look()
        with contextlib.suppress(InputError):
            write_cache(MEMORY, [*known, found][-KEPT:])
