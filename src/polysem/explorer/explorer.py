"""What the server shows: an opened study, the process that runs its models, and who is at the keyboard."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from polysem.explorer.inference.client import Inference
from polysem.io.errors import InputError
from polysem.params.base import NEURONS
from polysem.params.explain import nearest
from polysem.study.names import UnknownNameError
from polysem.study.study import Study

LOOKED_AGAIN = 1.0
"""Seconds after which the files of the results are looked at again."""


class Stamp:
    """What the answers to questions depend on beside the questions: dates and sizes of the small files that stand for
    models, SAEs and tables."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._looked = 0.0
        self._found: tuple[tuple[int, int], ...] = ()

    def __call__(self) -> object:
        """It differs from the one before where the results were made anew; it is a second old at most."""
        if (now := time.monotonic()) - self._looked > LOOKED_AGAIN:
            self._looked, self._found = now, tuple(map(_state, self._files()))
        return self._found

    def _files(self) -> Iterator[Path]:
        for model in self._study.values():
            yield Path(model.place.record)
            for site in model.values():
                for dictionary in site.values():
                    yield Path(dictionary.place.tables_receipt)
                    if dictionary.name != NEURONS:
                        yield Path(dictionary.place.sae.file("cfg.json"))


def _state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
        return found.st_mtime_ns, found.st_size
    except OSError:
        return 0, 0


@dataclass(frozen=True)
class Explorer:
    """Everything that routes need; handlers get it as `request.app.state.explorer`."""

    study: Study
    """The results, opened; reading names, tables and labels needs no torch."""
    inference: Inference
    """The process that owns models and dictionaries, behind `await explorer.inference.search(…)`."""
    author: str = ""
    """Who writes the notes; '' where nobody said, and then nothing can be written."""
    hosts: frozenset[str] = frozenset({"localhost"})
    """Names that the server is called by, beside loopback addresses."""
    is_open: bool = False
    """Whether others than this machine can reach it."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """What a page sends with every write, in the header `X-Polysem-Token`; it is another one at every start."""

    def require_model(self, name: str) -> None:
        """UnknownNameError for a model that there is not, InputError for one that reads no text."""
        if not self.study[name].is_language_model:
            there = [name for name, model in self.study.items() if model.is_language_model]
            raise InputError(f"{name} reads images; models that read text are: {', '.join(there) or 'none'}")

    def require_place(self, path: str) -> None:
        """UnknownNameError for a dictionary that there is not, of a model that reads text."""
        model, _, rest = path.partition("/")
        self.require_model(model)
        there = [f"{site}/{name}" for site, held in self.study[model].items() for name in held]
        there += [f"{one['site']}/{one['dictionary']}" for one in self.inference.added if one["model"] == model]
        if rest not in there:
            raise UnknownNameError(f"{model} has no {rest!r}{nearest(rest, there)}; there are: {', '.join(there)}")

    async def labelled(self, answer: bytes) -> bytes:
        """The answer to a search with what people call the features that it found."""
        return answer
