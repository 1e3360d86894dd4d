"""The step that draws the figures in which all dictionaries of a site stand together."""

from pathlib import Path

import xarray as xr

from polysem.figures import theme
from polysem.figures.registry import find_figure
from polysem.io.command import run
from polysem.io.tables import read_table
from polysem.params.analysis import Analysis
from polysem.params.base import ALL_DICTIONARIES


def draw_site_figures(
    tables: Path, output: Path, dictionaries: list[str], figures: list[str], params: Analysis
) -> None:
    """Draw figures of one site from the tables of its dictionaries.

    Args:
        tables: Folder of the site, with `{dictionary}/{table}.nc`.
        output: Folder for `{figure}.svg`; each file is written whole or not at all.
        dictionaries: All dictionaries of the site, in the order in which they are drawn.
        figures: Names of figure modules, for example `loss_recovered`.
        params: Thresholds.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """
    modules = {name: find_figure(name) for name in figures}
    needed = sorted({table for module in modules.values() for table in module.TABLES})
    together = {table: _together(tables, table, dictionaries) for table in needed}
    for name, module in modules.items():
        figure = module.draw(**{table: together[table] for table in module.TABLES}, analysis=params)
        theme.save(figure, output / f"{name}.svg")


def _together(tables: Path, table: str, dictionaries: list[str]) -> xr.Dataset:
    """A table of all dictionaries, along `dictionary`; attributes are those of the first."""
    each = [read_table(tables / name / f"{table}.nc") for name in dictionaries]
    joined = xr.concat(each, dim="dictionary", combine_attrs="override", coords="minimal", compat="override")
    joined = joined.assign_coords(dictionary=("dictionary", dictionaries))
    return joined.assign_attrs(dictionary=ALL_DICTIONARIES)


if __name__ == "__main__":
    run(draw_site_figures)
