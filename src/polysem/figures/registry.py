"""Figures by name: a module of this package with `CATALOGUE`, `TABLES`, `TITLE` and `draw` is a figure."""

import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

from matplotlib.figure import Figure

from polysem.io.errors import InputError


class NotApplicable(Exception):  # noqa: N818 - it says why there is no figure, it reports no error
    """A figure that cannot be made of these tables; the message says why, and what would change it."""


class FigureModule(Protocol):
    """What a figure module holds: its catalogue ids, the tables `draw` takes by name, its title."""

    CATALOGUE: str
    TABLES: tuple[str, ...]
    TITLE: str

    def draw(self, **tables_and_analysis: object) -> Figure:
        """The figure of the tables named in `TABLES` (Datasets) and `analysis` (Analysis).

        NotApplicable, with the reason, if the notion makes no sense for this dictionary.
        """


def find_figure(name: str) -> FigureModule:
    """The module of that name; InputError, with the nearest name, if there is no such figure.

    Only the one module is imported, so that a step depends on the figures it draws and on no others.
    """
    if name in _modules() and (module := _figure(name)):
        return module
    names = sorted(module for module in _modules() if _figure(module))
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)[0]
    raise InputError(f"there is no figure {name!r}; did you mean {nearest!r}? Figures are: {', '.join(names)}")


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]


def _figure(name: str) -> FigureModule | None:
    module = importlib.import_module(f"{__package__}.{name}")
    return cast(FigureModule, module) if hasattr(module, "CATALOGUE") else None
