"""What the tables declare, read without importing them, and which of them one job makes."""

from collections.abc import Mapping
from functools import cache

from polysem.io.errors import InputError, named
from polysem.tables.contract import ROOMS, TABLE, Contract, in_order
from polysem.tables.sources import scoped
from polysem.workflow.declarations import (
    constants,
    declared,
    modules_of,
    require_function,
    require_ids,
    require_keys,
)
from polysem.workflow.readable import require_reads

SCORES = "scores"
"""The word of `VALUES` that no params file says."""
DECLARED = {"CATALOGUE": str, "READS": tuple, "PARAMS": tuple, "VARIABLES": dict}
"""What every module of a table declares, as literals."""
WHAT = f"a table declares {', '.join(DECLARED)} and has a function measure (see polysem.tables.contract)"
OF_CONTROLS = ("control", "controls")
"""The scopes of dictionaries of random-model controls."""
EXPLAINED = ("explanations", SCORES)
"""What tables read that explainers, or people, have made of others."""
OPTIONAL = {"ONLY": dict, "FILES": tuple, "OF_DECODERS": bool}
"""What it may declare besides."""


@cache
def contracts(room: str) -> Mapping[str, Contract]:
    """What the tables "dictionary", "site" or "model" declare, by name.

    InputError for a module that declares something else than a table does, for tables that read each other in a circle,
    and for two that declare one scalar, which would be one metric.
    """
    known = modules_of(ROOMS[room])
    found = {name: _contract(room, name, module) for name, module in known.items()}
    with named(f"tables of a {room}", ValueError):
        in_order({name: one.tables for name, one in found.items()})
    scalars: dict[str, str] = {}
    for name, contract in found.items():
        for variable in (key for key, said in contract.variables.items() if not said.dimensions):
            if variable in scalars:
                raise InputError(
                    f"the tables {scalars[variable]} ({known[scalars[variable]]}) and {name} ({known[name]}) both "
                    f"declare a variable {variable!r} without dimensions, and metrics are called after these: rename "
                    "it in one of them"
                )
            scalars[variable] = name
    return found


def held_against_controls() -> list[str]:
    """The tables of dictionaries that some table reads of a control, and those that they are made from, in the order of
    their names."""
    known = contracts("dictionary")
    found: set[str] = set()
    reads = [scoped(read) for one in (*known.values(), *contracts("model").values()) for read in one.reads]
    waiting = [what for scope, what in reads if scope in OF_CONTROLS and what.startswith(TABLE)]
    while waiting:
        name = waiting.pop().removeprefix(TABLE)
        if name not in found:
            found.add(name)
            waiting += [read for read in known[name].reads if read.startswith(TABLE)]
    return sorted(found)


def all_contracts() -> None:
    """InputError where a table of any room is not declared as it should be, or a site and a model have tables of
    one name."""
    for room in ROOMS:
        contracts(room)
    for name in contracts("site").keys() & contracts("model").keys():
        places = " and ".join(modules_of(ROOMS[room])[name] for room in ("site", "model"))
        raise InputError(f"two tables are called {name!r}, a site's and a model's: {places}; rename one")


def _contract(room: str, name: str, module: str) -> Contract:
    found = declared(module)
    kinds = DECLARED | {key: kind for key, kind in OPTIONAL.items() if key in found}
    catalogue, reads, params, variables, *_ = constants(module, kinds, WHAT)
    require_reads(room, name, module, reads)
    require_keys(module, params)
    require_ids(module, catalogue)
    for key, said in variables.items():
        if not (isinstance(key, str) and isinstance(said, tuple) and list(map(type, said)) == [str, str, str]):
            raise InputError(
                f"VARIABLES of {module}: {key!r} is declared as {said!r}; a variable is declared as three texts, its "
                'dimensions, its unit and its long name: ("feature rank", "neuron", "neurons by squared weight")'
            )
    for when, names in found.get("ONLY", {}).items():
        if not (isinstance(when, str) and isinstance(names, tuple | list)):
            raise InputError(
                f"ONLY of {module}: {when!r} has {names!r}; names of variables are a tuple, by when they are"
            )
    require_function(module, "measure", WHAT)
    if "FILES" in found:
        require_function(module, "write_files", f"it declares FILES, which that function writes; {WHAT}")
    with named(module, ValueError):
        return Contract.of(name, found)


@cache
def together(room: str) -> Mapping[str, tuple[str, ...]]:
    """The tables of a site or of a model that one job makes, by its rule.

    All of a site; of a model those that are of itself, which tables of dictionaries read, those that read its
    dictionaries, and those that read what explainers, or people, made of these.
    """
    known = contracts(room)
    if room == "site":
        return {"measure_site": tuple(known)}
    made: dict[str, list[str]] = {"measure_model": [], "measure_features": [], "measure_explanations": []}
    waves = [*made]
    wave_of: dict[str, int] = {}
    for name in in_order({name: one.tables for name, one in known.items()}):
        reads = known[name].reads
        own = 2 if set(reads) & set(EXPLAINED) else int(any(scoped(read)[0] for read in reads))
        wave_of[name] = max([own, *(wave_of[other] for other in known[name].tables)])
        made[waves[wave_of[name]]].append(name)
    return {rule: tuple(names) for rule, names in made.items()}


def modules(room: str, *names: str) -> list[str]:
    """The modules of some tables, or of all of a room."""
    known = modules_of(ROOMS[room])
    return [known[name] for name in names or contracts(room)]
