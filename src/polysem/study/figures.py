"""Figures of a study: drawn by the modules that the workflow draws them with, and as the workflow drew them."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from polysem.io.errors import InputError
from polysem.layout.place import Place
from polysem.params.addons import modules_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from polysem.figures.draw_figures import Sources
    from polysem.params.analysis import Analysis


class Drawing:
    """A figure as the run drew it. In a notebook it shows itself."""

    def __init__(self, name: str, path: Path) -> None:
        self.name: str = name
        """Name of the figure."""
        self.path: Path = path
        """The SVG file."""

    def _repr_svg_(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"<polysem figure {self.name}: {self.path}>"


def draw(
    place: Place, name: str, folder: str, sources: "Sources", analysis: "Analysis", changed: Collection[str] = ()
) -> "Figure":
    """A figure of the modules in `figures/{folder}`, drawn from the tables that `sources` give by name.

    Raises InputError for an unknown figure, with the nearest name; for `changed` keys of `analysis` that it does not
    read; for one that makes no sense here, with the reason; and for tables that lack what it shows.
    """
    from polysem.figures.draw_figures import draw as drawn
    from polysem.figures.registry import NotApplicable, find_figure
    from polysem.params.explain import nearest

    known = modules_of(f"polysem.figures.{folder}")
    if name not in known:
        raise InputError(
            f"{place.path} has no figure {name!r}{nearest(name, list(known))}; there are: {', '.join(known)}"
        )
    module = find_figure(name)
    if unread := [key for key in changed if key not in module.PARAMS]:
        raise InputError(
            f"{name} does not read {', '.join(unread)}, so it would change nothing; of `analysis:` it reads "
            f"{', '.join(module.PARAMS) or 'no key'}"
        )
    try:
        return drawn(module, sources.read, analysis.values(), sources.labels)
    except NotApplicable as reason:
        raise InputError(f"{name} is not drawn of {place.path}: {reason}") from None
    except KeyError as error:
        raise InputError(
            f"{name} cannot be drawn: the tables of {place.path} lack {error}, which this version of polysem writes; "
            "`snakemake --cores all` measures them again"
        ) from error
