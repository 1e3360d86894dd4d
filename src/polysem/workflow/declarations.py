"""What the modules of tables and figures declare, read from their sources, as importing them is slow.

What is wrong with it is an InputError, a sentence for the person who wrote the module.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from polysem.io.errors import InputError
from polysem.params.addons import modules_of
from polysem.params.analysis import Analysis
from polysem.params.explain import nearest
from polysem.report.catalogue import ENTRIES, ids_in
from polysem.workflow.running.code import parsed, source_file

__all__ = ["declared", "modules_of"]

WORDS: Mapping[type, str] = {tuple: "tuple", str: "text", dict: "mapping"}
"""What literals of a kind are called."""


@cache
def declared(module: str) -> dict[str, Any]:
    """The constants of a module whose values are literals: texts, numbers, and tuples, lists and mappings of these.

    Raises ModuleNotFoundError for a module that has no source.
    """
    found: dict[str, Any] = {}
    for statement in _statements(module):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if isinstance(target, ast.Name) and target.id.isupper():
            try:
                found[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
            except (ValueError, TypeError):
                continue
    return found


def constants(module: str, kinds: Mapping[str, type], what: str) -> list[Any]:
    """The constants that a module has to declare, each of its kind; InputError, which ends in `what` it declares."""
    found = declared(module)
    for name, kind in kinds.items():
        if not isinstance(found.get(name), kind):
            said = f", but {found[name]!r}" if name in found else ""
            raise InputError(f"{module} declares no {name} that is a literal {WORDS[kind]}{said}; {what}")
        if kind is tuple and (odd := [one for one in found[name] if not isinstance(one, str)]):
            raise InputError(f"{name} of {module} holds {odd[0]!r}, which is no text; {what}")
    return [found[name] for name in kinds]


def require_keys(module: str, params: Iterable[str]) -> None:
    """InputError for a key in `PARAMS` that `analysis:` does not have."""
    for key in params:
        if key not in Analysis.model_fields:
            raise InputError(f"PARAMS of {module}: analysis has no {key!r}{nearest(key, list(Analysis.model_fields))}")


def require_ids(module: str, catalogue: str) -> None:
    """InputError for an id in `CATALOGUE` that the catalogue does not have, and where there is none."""
    for identity in ids_in(catalogue) or [""]:
        if identity not in ENTRIES:
            raise InputError(
                f"CATALOGUE of {module}: there is no id {identity!r}{nearest(identity, list(ENTRIES))}; a new id needs "
                "an entry in polysem.report.catalogue"
            )


def require_function(module: str, function: str, what: str) -> None:
    """InputError for a module without a function, its own or one that it imports."""
    if function not in {name for statement in _statements(module) for name in _bound(statement)}:
        raise InputError(f"{module} has no function {function}; {what}")


def _bound(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name):
            yield name
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
        case ast.Assign(targets=[ast.Name(id=name)]):
            yield name


@cache
def defines(module: str, function: str) -> bool:
    """Whether a module has a function of this name."""
    return any(isinstance(one, ast.FunctionDef) and one.name == function for one in _statements(module))


@cache
def _statements(module: str) -> list[ast.stmt]:
    file = source_file(module)
    if file is None:
        raise ModuleNotFoundError(f"{module} has no source")
    return parsed(file).body
