"""What a table is made of, as one digest: while it stays the same, the table that is there is right."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from polysem.io.content import file_digest, text_digest
from polysem.io.errors import InputError
from polysem.io.folders import artifact_digest
from polysem.layout.place import Place
from polysem.numerics.determinism import torch_is_needed
from polysem.numerics.devices import precision
from polysem.params.base import ALL_DICTIONARIES
from polysem.tables.contract import TABLE, Contract, load_table, tables_in
from polysem.tables.inputs import Inputs, Job, given_analysis
from polysem.tables.sources import PASSES, SOURCES, VALUES, scoped, uses_device

LIBRARIES = ("numpy", "polysem", "torch", "xarray")


@dataclass(frozen=True)
class Stated:
    """What the rule says of a table that its job makes."""

    code: str
    """Digest of its module and of all that it uses, taken when the run began."""
    reads: tuple[str, ...]
    params: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    """Places of scopes, and what the params file says beside `analysis:`."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the same dictionary, site or model that it reads."""
        return tables_in(self.reads)


def made_of(stated: Stated, job: Job, digests: Mapping[str, str]) -> str:
    """The digest of what a table is made of: its code, its params, and all that it reads, by content.

    `digests` are those of the tables of the same job. InputError for a file or receipt that cannot be read.
    """
    read: dict[str, Any] = {}
    for name, what, place in _read(stated, job):
        here = place == job.place and what.removeprefix(TABLE) in digests
        read[f"{name} {place.path}"] = (
            digests[what.removeprefix(TABLE)] if here else _content(what, place, job, stated.values)
        )
    said = {"code": stated.code, "params": stated.params, "place": job.place.path, "kind": job.kind, "read": read}
    said |= {"target": job.target} if job.target else {}
    said |= made_on(stated.reads, job)
    return text_digest(json.dumps(said, sort_keys=True))


def made_on(reads: Iterable[str], job: Job) -> dict[str, str]:
    """What the receipt of a table says of the device of its job; nothing of a CPU, or where it reads nothing that is on
    a device."""
    return precision(job.device) if uses_device(reads) else {}


def _content(what: str, place: Place, job: Job, values: Mapping[str, Any]) -> Any:
    if what in PASSES:
        return None
    if what in VALUES:
        return values[what]
    if what.startswith(TABLE):
        return _table_digest(what.removeprefix(TABLE), place, job)
    return [digest_of(file, job) for file in _files(what, place, job)]


def _read(stated: Stated, job: Job) -> Iterator[tuple[str, str, Place]]:
    """All that a table reads: each word of `READS`, what it names, and of which place."""
    for name in stated.reads:
        scope, what = scoped(name)
        for names in stated.values[scope] if scope else [job.place.names]:
            yield name, what, Place.named(names, job.place.root)


def _files(what: str, place: Place, job: Job) -> tuple[str, ...]:
    """The files that stand for a source of a place, none where it has no such source."""
    source = SOURCES[what]
    return source.files(place) if source.is_there(job.kind, job.trained) else ()


def _table_digest(name: str, place: Place, job: Job) -> str:
    """The sha256 of a table, by its receipt, which is read once if it is no table that the job itself may make."""
    receipt = Path(place.receipt_of_table(name))
    if place == job.place:
        return artifact_digest(receipt, name)
    return job.once(("table", name, place), lambda: artifact_digest(receipt, name))


def made_from(stated: Stated, job: Job) -> dict[str, str]:
    """Digests of what a table of a site or a model reads, by paths below the folder of all artifacts: of other tables,
    and of the small files that stand for models, SAEs and stores. Whoever shows the table can look whether these are
    still the ones, without the sources of the run. InputError for a file or receipt that cannot be read."""
    found: dict[str, str] = {}
    for _, what, place in _read(stated, job):
        if what.startswith(TABLE):
            table = what.removeprefix(TABLE)
            found[place.table(table)] = _table_digest(table, place, job)
        elif what in SOURCES:
            small = (file for file in _files(what, place, job) if file.endswith(".json"))
            found |= {file: digest_of(file, job) for file in small}
    return {Path(path).relative_to(job.place.root).as_posix(): digest for path, digest in found.items()}


def digest_of(file: str, job: Job) -> str:
    """The sha256 of a file that tables read, computed once in a job. InputError if it cannot be read."""

    def digest() -> str:
        try:
            return file_digest(Path(file))
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error}); run again") from error

    return job.once(("digest", file), digest)


def prepare(room: str, stated: Mapping[str, Stated], job: Job) -> dict[str, Contract]:
    """Import the modules of tables that are to be made, and give the job what each reads; their contracts.

    ValueError where a module declares something else than its rule says.
    """
    if stated:
        torch_is_needed()
    contracts = {}
    for name, said in stated.items():
        module, contract = load_table(room, name)
        if contract.reads != said.reads:
            raise ValueError(f"the table {name} reads {contract.reads}, and its rule says {said.reads}; run again")
        params = given_analysis(contract, said.params)
        job.making[name] = (module, Inputs(contract, job.place, params, job, said.values))
        contracts[name] = contract
    return contracts


def measured(name: str, contract: Contract, stated: Stated, job: Job) -> xr.Dataset:
    """A table, made and held against its contract, which says whose it is and what made it."""
    module, inputs = job.making[name]
    table: xr.Dataset = module.measure(inputs)
    contract.require(table)
    whose = dict(zip(("model", "site", "dictionary"), job.place.names, strict=False))
    if "site" in whose:
        whose.setdefault("dictionary", ALL_DICTIONARIES)
    if job.target:
        whose["target"] = job.target
        if contract.of_decoders:
            whose["decoder_site"] = job.target
    said = {"catalogue": contract.catalogue, "code": stated.code, "versions": json.dumps(versions())}
    return table.assign_attrs(whose | said)


@cache
def versions() -> dict[str, str]:
    """Versions of the libraries that decide the digits of a table, and of this package."""
    return {library: version(library) for library in LIBRARIES}
