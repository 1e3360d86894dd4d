"""Figures by name: modules of `of_dictionary`, `of_site`, `of_model` and `of_toy`."""

import difflib
import importlib
from typing import Protocol, cast

from matplotlib.figure import Figure

from polysem.figures import of_dictionary, of_model, of_site, of_toy
from polysem.io.errors import InputError
from polysem.params.addons import modules_of


class NotApplicable(Exception):  # noqa: N818 - it says why there is no figure, it reports no error
    """A figure that cannot be made of these tables; the message says why, and what would change it."""


class FigureModule(Protocol):
    """What the module of a figure declares, as literals: the workflow reads them from the source."""

    READS: tuple[str, ...]
    """Tables that `draw` takes: `frequency`, and as `neurons_frequency` the table `neurons/frequency`. With `labels`
    among them the tables carry what people call features."""
    PARAMS: tuple[str, ...]
    """Keys of `analysis:` that `draw` can read; each is given."""
    CATALOGUE: str
    """Ids of the documents, with blanks between."""
    TITLE: str
    CAPTION: str
    """reStructuredText that stands beside the figure on pages, with its source."""

    def draw(self, **tables_and_analysis: object) -> Figure:
        """The figure of the tables named in `READS` (Datasets) and `analysis` (Analysis).

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
    found: dict[str, str] = {}
    for folder in (of_dictionary, of_site, of_model, of_toy):
        found |= modules_of(folder.__name__)
    return dict(sorted(found.items()))
