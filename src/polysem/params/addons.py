"""Modules that are found by name: those of a package here, and those that other installed packages add to it.

A package adds a module by an entry point in the group that is called as the package here:

    [project.entry-points."polysem.figures.of_dictionary"]
    sparsity_by_norm = "my_package.sparsity_by_norm"
"""

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules

PACKAGE = "polysem"


@cache
def modules_of(package: str) -> dict[str, str]:
    """The modules, and packages, of a package by their last names, in the order of the alphabet; with those added.

    InputError if two have one name.
    """
    found = {module.name: f"{package}.{module.name}" for module in iter_modules(_folders(package))}
    for added in _entries():
        if added.group != package:
            continue
        if added.name in found:
            from polysem.io.errors import InputError

            raise InputError(
                f"two modules are called {added.name!r} in {package}: {found[added.name]} and {added.module}; rename "
                "the entry point of one"
            )
        found[added.name] = added.module
    return dict(sorted(found.items()))


def _folders(package: str) -> list[str]:
    """Where the modules of a package lie. One of ours is not imported for that, as a step refuses what its rule did not
    name."""
    if package not in sys.modules and package.startswith(f"{PACKAGE}."):
        return [str(Path(__file__).parents[1].joinpath(*package.split(".")[1:]))]
    return list(import_module(package).__path__)


def own_modules_of(package: str) -> dict[str, str]:
    """Those that lie in the package itself, which this repository documents."""
    return {name: module for name, module in modules_of(package).items() if module == f"{package}.{name}"}


def entries() -> tuple[EntryPoint, ...]:
    """All entry points in groups that begin as this package does, those in no group that it reads included."""
    return _entries()


@cache
def addon_packages() -> tuple[str, ...]:
    """The top-level packages that add something."""
    return tuple(sorted({added.module.partition(".")[0] for added in _entries()}))


def is_ours(module: str) -> bool:
    """Whether a module belongs to this package or to one that adds to it."""
    return module.partition(".")[0] in (PACKAGE, *addon_packages())


@cache
def _entries() -> tuple[EntryPoint, ...]:
    return tuple(added for group in sorted(_groups()) for added in entry_points(group=group))


def _groups() -> Iterator[str]:
    return (group for group in entry_points().groups if group.startswith(f"{PACKAGE}."))
