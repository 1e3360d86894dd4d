"""What `measure` of a table gets: everything that its module declares, read when it is asked for, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import xarray as xr

from polysem.io.tables import read_table
from polysem.layout.place import Place
from polysem.numerics.devices import Resolved
from polysem.params.analysis import GivenAnalysis
from polysem.tables.contract import TABLE, Contract
from polysem.tables.sources import SOURCES, scoped, uses_device

Made = TypeVar("Made")


class UndeclaredReadError(Exception):
    """A table reads what its module does not declare: a change of it would not make the table again."""


@dataclass
class Job:
    """What the tables share that one process makes."""

    place: Place
    kind: str
    """"language" or "classifier"."""
    device: Resolved = "cpu"
    target: str = ""
    """The site that the dictionary predicts; '' unless it is a transcoder."""
    trained: bool = False
    """Whether the dictionary is an SAE that was trained here."""
    folder: Path = Path()
    """Where tables of the place are written, and where a scratch file may lie."""
    making: "dict[str, tuple[ModuleType, Inputs]]" = field(default_factory=dict)
    """The tables that are made, with their modules."""
    _kept: dict[object, Any] = field(default_factory=dict)

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What `make` gives, computed when it is first asked for under this key."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Made = self._kept[key]
        return found


@dataclass(frozen=True)
class Inputs:
    """What one table reads: of its own dictionary, site or model, or, by `each`, of those of a scope."""

    contract: Contract
    place: Place
    params: GivenAnalysis
    """The keys of `analysis:` that the module declares; another one raises KeyError."""
    job: Job
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the rule says of the study: places of scopes, and the words of `VALUES`."""

    @property
    def site(self) -> str:
        """Name of the site."""
        return self.place.site

    @property
    def device(self) -> Resolved:
        """Where models and dictionaries are to run. UndeclaredReadError unless the table reads what is on a device."""
        if not uses_device(self.contract.reads):
            raise UndeclaredReadError(f"the table {self.contract.name} uses a device and reads nothing that is on one")
        return self.job.device

    def require(self, read: str) -> None:
        """UndeclaredReadError if the table does not declare that it reads this."""
        if read not in self.contract.reads:
            raise UndeclaredReadError(
                f"the table {self.contract.name} reads {read!r}, which its module does not declare; add it to READS"
            )

    def path(self, source: str) -> Path:
        """Where a source lies. UndeclaredReadError for one that is not declared, LookupError for one that models of
        this kind do not have."""
        found = self.path_if_any(source)
        if found is None:
            raise LookupError(f"a {self.job.kind} has no {source}")
        return found

    def path_if_any(self, source: str) -> Path | None:
        """The same; None for a source that models of this kind, or this dictionary, do not have."""
        self.require(source)
        known = SOURCES[source]
        return Path(known.path(self.place)) if known.is_there(self.job.kind, self.job.trained) else None

    def table_file(self, name: str) -> Path:
        """The file of another table of this dictionary, site or model."""
        self.require(TABLE + name)
        folder = self.job.folder if self.place == self.job.place else Path(self.place.tables)
        return folder / f"{name}.nc"

    def table(self, name: str) -> xr.Dataset:
        """That table, as it was written; not to be changed."""
        path = self.table_file(name)
        return self.job.once(("table", path), lambda: read_table(path))

    def value(self, name: str) -> Any:
        """What the study says, by a word of `VALUES`."""
        self.require(name)
        return self.values[name]

    def each(self, scope: str) -> "list[Inputs]":
        """The inputs of every place of a scope, in the order of the params file."""
        reads = tuple(rest for of, rest in map(scoped, self.contract.reads) if of == scope)
        if not reads:
            self.require(f"{scope}:…")
        contract = replace(self.contract, reads=reads)
        return [
            replace(self, place=Place.named(names, self.place.root), contract=contract) for names in self.values[scope]
        ]

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What tables of one job share: computed by the first that asks. The key holds all that it depends on."""
        return self.job.once(key, make)


def given_analysis(contract: Contract, params: Mapping[str, Any]) -> GivenAnalysis:
    """The keys of `analysis:` that a table declares. ValueError unless it is these that are given: a default never
    stands in for a key that was forgotten."""
    if differing := set(params) ^ set(contract.params):
        raise ValueError(
            f"the table {contract.name} declares the params {', '.join(contract.params) or 'none'}; "
            f"{', '.join(sorted(differing))} is missing, or one too many"
        )
    return GivenAnalysis.model_validate(dict(params))
