"""What the modules of tables and figures declare, read from their sources, as importing them is slow."""

import ast
from functools import cache
from typing import Any

from polysem.params.addons import modules_of
from polysem.workflow.running.code import source_file

__all__ = ["declared", "modules_of"]


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


@cache
def defines(module: str, function: str) -> bool:
    """Whether a module has a function of this name."""
    return any(isinstance(one, ast.FunctionDef) and one.name == function for one in _statements(module))


def _statements(module: str) -> list[ast.stmt]:
    file = source_file(module)
    if file is None:
        raise ModuleNotFoundError(f"{module} has no source")
    return ast.parse(file.read_text(encoding="utf-8")).body
