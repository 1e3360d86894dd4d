"""What the server shows: an opened study, the process that runs its models, and who is at the keyboard."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from polysem.explorer.inference.client import Inference
from polysem.explorer.labels import Labels, state_of
from polysem.io.errors import InputError
from polysem.params.base import NEURONS
from polysem.params.explain import nearest
from polysem.study.names import UnknownNameError
from polysem.study.results import PARAMS
from polysem.study.study import Study

LOOKED_AGAIN = 1.0
"""Seconds after which the files of the results are looked at again."""


class Current:
    """The study as its files are now: a run may make others while the server answers.

    What says so are dates and sizes of the small files that stand for models, SAEs and tables, looked at once a second.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._looked, self._stamp = time.monotonic(), self._stamped()

    @property
    def study(self) -> Study:
        """The study, opened anew where its files changed."""
        self.stamp()
        return self._study

    def stamp(self) -> object:
        """It differs from the one before where the files changed."""
        if (now := time.monotonic()) - self._looked > LOOKED_AGAIN:
            self._looked = now
            if self._stamp != (found := self._stamped()):
                self._study = Study(self._study.results)
                self._stamp = found
        return self._stamp

    def _stamped(self) -> tuple[tuple[int, int], ...]:
        return tuple(state_of(Path(file)) for file in self._files())

    def _files(self) -> Iterator[str]:
        yield f"{self._study.results.root}/{PARAMS}"
        for model in self._study.values():
            yield model.place.record
            for site in model.values():
                for dictionary in site.values():
                    yield dictionary.place.tables_receipt
                    if dictionary.name != NEURONS:
                        yield dictionary.place.sae.file("cfg.json")


@dataclass(frozen=True)
class Explorer:
    """Everything that routes need; handlers get it as `request.app.state.explorer`."""

    current: Current
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

    @property
    def study(self) -> Study:
        """The study as it is now; another object where a run made other results."""
        return self.current.study

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

    def added(self, *names: str) -> dict[str, Any] | None:
        """What is known of an SAE that was added, by model, site and dictionary; None if none of these names was."""
        return next((one for one in self.inference.added if names == _names_of(one)), None)

    def require_measured(self, *names: str) -> None:
        """InputError for an SAE that was added, of which no run measured anything."""
        if self.added(*names):
            raise InputError(
                f"{'/'.join(names)} was added with --add and never measured: its features are searched and tried; a "
                "run of the entry that the command printed measures the rest"
            )

    def labelled(self, answer: bytes) -> dict[str, Any]:
        """The answer to a search with what people call the features that it found."""
        found: dict[str, Any] = json.loads(answer)
        self._labels.put_into(self.study, found)
        return found

    @cached_property
    def _labels(self) -> Labels:
        return Labels()


def _names_of(added: dict[str, Any]) -> tuple[str, ...]:
    return added["model"], added["site"], added["dictionary"]
