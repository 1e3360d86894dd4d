"""What a table promises: what it is made from and what it holds, by which it is made, checked and documented.

A table is a module in `of_dictionary`, `of_site` or `of_model`, named as the table is. It declares, as literals that
can be read without importing it (`polysem.workflow.declarations`):

- `CATALOGUE`: ids of the documents ("S0.F2 S0.X3");
- `READS`: what it reads, and it can read nothing else (see `tables.inputs` for the words);
- `PARAMS`: the keys of `analysis:` that it reads; it can read no other;
- `VARIABLES`: by name the dimensions, the unit and the long name of every variable, coordinates included;
- `ONLY`, where not every variable is always there: names, or patterns of names (`*`), by when they are;
- `FILES`, where there are such: files of other forms that the module makes with the table;
- `OF_DECODERS = True`, if it holds decoder rows, which a transcoder has at the site that it predicts.

Its function `measure(inputs) -> xr.Dataset` makes it. A module that takes part in the survey of activations has
`gatherer(inputs)`, too (`tables.passes.survey`), and one with `FILES` has `write_files(inputs, folder)`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from polysem.params.addons import modules_of
from polysem.params.analysis import Analysis

if TYPE_CHECKING:
    import xarray as xr

ROOMS = {
    "dictionary": "polysem.tables.of_dictionary",
    "site": "polysem.tables.of_site",
    "model": "polysem.tables.of_model",
}
"""The packages of tables by what each table is of."""
TABLE = "table:"
"""In front of the name of another table that a table reads."""


@dataclass(frozen=True)
class Variable:
    """One variable of a table, as it is declared."""

    dimensions: tuple[str, ...]
    units: str
    long_name: str
    """`*` stands for words that depend on what the table is of."""
    only: str = ""
    """When the variable is there; '' for one that always is."""

    @classmethod
    def of(cls, dimensions: str, units: str, long_name: str, only: str = "") -> "Variable":
        """The variable that is declared as `("feature rank", "neuron", "neurons by squared weight")`."""
        return cls(tuple(dimensions.split()), units, long_name, only)

    def problems(self, name: str, found: "xr.Variable") -> Iterator[str]:
        """How a variable differs from what is declared."""
        said = {"units": found.attrs.get("units"), "long_name": found.attrs.get("long_name")}
        if found.dims != self.dimensions:
            yield f"{name} has the dimensions {found.dims}, declared are {self.dimensions}"
        if said["units"] != self.units:
            yield f"{name} has the unit {said['units']!r}, declared is {self.units!r}"
        if not fnmatchcase(str(said["long_name"]), self.long_name.replace("[", "[[]")):
            yield f"{name} is called {said['long_name']!r}, declared is {self.long_name!r}"


@dataclass(frozen=True)
class Contract:
    """What the module of a table declares."""

    name: str
    catalogue: str
    reads: tuple[str, ...]
    params: tuple[str, ...]
    variables: Mapping[str, Variable]
    files: tuple[str, ...] = ()
    of_decoders: bool = False
    """Whether it holds decoder rows."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the same dictionary, site or model that it reads."""
        return tables_in(self.reads)

    @classmethod
    def of(cls, name: str, constants: Mapping[str, Any]) -> "Contract":
        """The contract of the table `name` by the constants of its module.

        Raises ValueError for a module that lacks one, or names a key that `analysis:` does not have.
        """
        if missing := [key for key in ("CATALOGUE", "READS", "PARAMS", "VARIABLES") if key not in constants]:
            raise ValueError(
                f"the table {name} declares no {', '.join(missing)} as literals (see polysem.tables.contract)"
            )
        only = [(pattern, when) for when, names in constants.get("ONLY", {}).items() for pattern in names]
        declared = constants["VARIABLES"]
        if idle := [pattern for pattern, _ in only if not any(fnmatchcase(key, pattern) for key in declared)]:
            raise ValueError(f"the table {name} names {', '.join(idle)} in ONLY, and VARIABLES has no such")
        if unknown := set(constants["PARAMS"]) - Analysis.model_fields.keys():
            raise ValueError(f"the table {name} names {', '.join(sorted(unknown))}, which is no key of analysis:")
        return cls(
            name,
            constants["CATALOGUE"],
            tuple(constants["READS"]),
            tuple(constants["PARAMS"]),
            {
                key: Variable.of(
                    dimensions, unit, words, next((when for pattern, when in only if fnmatchcase(key, pattern)), "")
                )
                for key, (dimensions, unit, words) in declared.items()
            },
            tuple(constants.get("FILES", ())),
            bool(constants.get("OF_DECODERS", False)),
        )

    def require(self, table: "xr.Dataset") -> None:
        """ValueError, with all that differs, unless a table holds what is declared and nothing else."""
        problems = [f"{name} is not declared" for name in map(str, table.variables) if name not in self.variables]
        for name, declared in self.variables.items():
            if name in table.variables:
                problems += declared.problems(name, table.variables[name])
            elif not declared.only and not self._not_applicable(table):
                problems.append(f"{name} is missing")
        if problems:
            raise ValueError(
                f"the table {self.name} is not what its module declares in VARIABLES: {'; '.join(problems)}"
            )

    def _not_applicable(self, table: "xr.Dataset") -> bool:
        """Whether a table says that it does not apply, and holds nothing."""
        return "not_applicable" in table.attrs and not table.data_vars


def tables_in(reads: Sequence[str]) -> tuple[str, ...]:
    """Of what a table reads, the other tables of its dictionary, site or model."""
    return tuple(read.removeprefix(TABLE) for read in reads if read.startswith(TABLE))


def load_table(room: str, name: str) -> tuple[ModuleType, Contract]:
    """The module of a table, imported, and its contract; `room` is one of `ROOMS`."""
    module = import_module(modules_of(ROOMS[room])[name])
    return module, Contract.of(name, vars(module))


def in_order(reads: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of tables, each after those that it reads, by the alphabet otherwise.

    `reads` are the tables that each reads. Raises ValueError for tables that read each other in a circle, and for one
    that is not there.
    """
    ordered: list[str] = []
    waiting = sorted(reads)
    while waiting:
        ready = [name for name in waiting if set(reads[name]) <= set(ordered)]
        if not ready:
            raise ValueError(f"{', '.join(waiting)} read each other in a circle, or a table that is not there")
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered
