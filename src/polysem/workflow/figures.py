"""What the modules of figures declare, in the order of the catalogue. Adding a figure is adding its module."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from polysem.io.errors import InputError
from polysem.params.base import NEURONS
from polysem.params.explain import nearest
from polysem.report.catalogue import ids_in, natural
from polysem.tables.contract import ROOMS
from polysem.workflow.declarations import constants, modules_of, require_function, require_ids, require_keys

OF_DICTIONARY = "polysem.figures.of_dictionary"
OF_SITE = "polysem.figures.of_site"
OF_MODEL = "polysem.figures.of_model"
OF_TOY = "polysem.figures.of_toy"
DECLARED = {"READS": tuple, "PARAMS": tuple, "CATALOGUE": str, "TITLE": str, "CAPTION": str}
"""What every module declares, as literals."""
SITE = "site/"
"""What a figure of a site reads of the site itself, not of its dictionaries, begins with this."""
OTHER = ("training", "recipes", "labels")
"""What figures read that is no table."""
KNOWN = "known"
"""The table of a set of known features, of all its SAEs."""
WHAT = f"a figure declares {', '.join(DECLARED)} and has a function draw"

PLACE = (
    "Model ``{{ snakemake.wildcards.model }}``, site ``{{ snakemake.wildcards.site }}``, "
    "{% if snakemake.wildcards.dictionary is defined %}dictionary ``{{ snakemake.wildcards.dictionary }}``"
    "{% else %}all dictionaries{% endif %}."
)
"""Whose figure it is, in words of Snakemake's report."""
PLACE_OF_MODEL = "Model ``{{ snakemake.wildcards.model }}``, all sites."


@dataclass(frozen=True)
class Figure:
    """A figure as its module declares it."""

    name: str
    module: str
    reads: tuple[str, ...]
    """Tables of the dictionary, of all dictionaries of the site or of the model, `neurons/…`, `site/…`, and what is in
    `OTHER`."""
    params: tuple[str, ...]
    """Keys of `analysis:`."""
    catalogue: str
    """One or more ids, with blanks between."""
    title: str
    caption: str
    """reStructuredText."""


@cache
def figures_of(package: str) -> tuple[Figure, ...]:
    """The figures of a folder: by their first id in the catalogue, those with the same one by name.

    InputError for a module that declares something else than a figure does.
    """
    found = [_figure(package, name, module) for name, module in modules_of(package).items()]
    return tuple(sorted(found, key=lambda one: (natural(ids_in(one.catalogue)[0]), one.name)))


def all_figures() -> tuple[Figure, ...]:
    """Those of dictionaries, sites, models and sets of known features. InputError where two have one name."""
    figures = tuple(one for folder in (OF_DICTIONARY, OF_SITE, OF_MODEL, OF_TOY) for one in figures_of(folder))
    names = [one.name for one in figures]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        places = " and in ".join(one.module for one in figures if one.name == twice[0])
        raise InputError(f"figure {twice[0]!r} is both in {places}; rename one of the modules")
    return figures


def params_of(figures: Sequence[Figure]) -> list[str]:
    """The keys of `analysis:` that some of the figures show or name."""
    return sorted({key for one in figures for key in one.params})


def tables_of(figures: Sequence[Figure]) -> list[str]:
    """The tables of dictionaries that some of the figures show, by name."""
    read = {table for one in figures for table in one.reads if not table.startswith(SITE)}
    return sorted({table.rpartition("/")[2] for table in read - {*OTHER}})


def site_tables_of(figures: Sequence[Figure]) -> list[str]:
    """The tables of the site itself that some of the figures show."""
    return sorted({table.removeprefix(SITE) for one in figures for table in one.reads if table.startswith(SITE)})


def captions_template(figures: Sequence[Figure], place: str) -> str:
    """The captions as one file for Snakemake's report, which takes one for a whole folder and fills it in by Jinja."""
    chosen = "".join(
        f'{{% {"if" if not number else "elif"} snakemake.wildcards.figure == "{one.name}" %}}\n'
        f"{{% raw %}}{one.caption.strip()}{{% endraw %}}\n"
        for number, one in enumerate(figures)
    )
    return f"{chosen}{{% endif %}}\n\n{place}\n"


def readable(package: str) -> list[str]:
    """What the figures of a folder can read."""
    of_dictionary = [*modules_of(ROOMS["dictionary"])]
    if package == OF_TOY:
        return [KNOWN]
    if package == OF_MODEL:
        return [*modules_of(ROOMS["model"])]
    if package == OF_SITE:
        return [*of_dictionary, *(f"{SITE}{table}" for table in modules_of(ROOMS["site"])), "recipes"]
    return [*of_dictionary, *(f"{NEURONS}/{table}" for table in of_dictionary), "training", "labels"]


def _figure(package: str, name: str, module: str) -> Figure:
    reads, params, catalogue, title, caption = constants(module, DECLARED, WHAT)
    allowed = readable(package)
    for read in reads:
        if read not in allowed:
            raise InputError(
                f"READS of {module}: a figure there cannot read {read!r}{nearest(read, allowed)}; it can read "
                f"{', '.join(allowed)}"
            )
    require_keys(module, params)
    require_ids(module, catalogue)
    require_function(module, "draw", WHAT)
    return Figure(name, module, reads, params, catalogue, title, caption)
