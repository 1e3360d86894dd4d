"""What all campaigns have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One thing that was tried. `kind` is a line of the counts; `problem` is '' where it went as it should."""

    kind: str
    name: str
    problem: str


def tried(kind: str, name: str, attempt: Callable[..., None], *arguments: Any) -> Case:
    """A case that goes wrong where `attempt` raises an AssertionError or anything else."""
    try:
        attempt(*arguments)
    except Exception as error:
        return Case(kind, name, f"{type(error).__name__}: {str(error).strip()[-2000:]}")
    return Case(kind, name, "")
