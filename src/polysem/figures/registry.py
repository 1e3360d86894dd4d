"""Figures by name: modules of `of_dictionary`, `of_site`, `of_toy` with `CATALOGUE`, `TABLES`, `TITLE` and `draw`."""

import difflib
import importlib
import pkgutil
from typing import Protocol, cast

from matplotlib.figure import Figure

from polysem.figures import of_dictionary, of_site, of_toy
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
    names = figure_modules()
    if name in names:
        return cast(FigureModule, importlib.import_module(names[name]))
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)[0]
    raise InputError(f"there is no figure {name!r}; did you mean {nearest!r}? Figures are: {', '.join(names)}")


def figure_modules() -> dict[str, str]:
    """The modules of all figures, by the name of the figure, in the order of the alphabet."""
    folders = (of_dictionary, of_site, of_toy)
    found = {
        module.name: f"{folder.__name__}.{module.name}"
        for folder in folders
        for module in pkgutil.iter_modules(folder.__path__)
    }
    return dict(sorted(found.items()))
