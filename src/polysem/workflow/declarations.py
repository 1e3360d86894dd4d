"""What the modules of tables and figures declare, read from their sources: importing them takes seconds of a call."""

import ast
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

SOURCE = Path(__file__).resolve().parents[2]


@cache
def declared(module: str) -> dict[str, Any]:
    """The constants of a module whose values are literals: texts, numbers, and tuples, lists and mappings of these.

    Raises ModuleNotFoundError for a module that has no source.
    """
    file = _place(module).with_suffix(".py")
    if not file.is_file():
        raise ModuleNotFoundError(f"{module} has no source at {file}")
    found: dict[str, Any] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if isinstance(target, ast.Name) and target.id.isupper():
            try:
                found[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
            except (ValueError, TypeError):
                continue
    return found


@cache
def modules_of(package: str) -> dict[str, str]:
    """The modules of a package by their last names, in the order of the alphabet."""
    return {
        module.name: f"{package}.{module.name}"
        for module in sorted(iter_modules([str(_place(package))]), key=lambda one: one.name)
    }


def _place(module: str) -> Path:
    """Where a module of polysem lies; nothing is imported for that, as a step refuses what its rule did not name."""
    own, *parts = module.split(".")
    return SOURCE.joinpath(own, *parts)
