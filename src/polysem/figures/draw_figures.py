"""The step that draws the figures of one dictionary."""

from pathlib import Path

from polysem.figures import theme
from polysem.figures.registry import find_figure
from polysem.io.command import run
from polysem.io.tables import read_table
from polysem.params.analysis import Analysis


def draw_figures(tables: Path, output: Path, figures: list[str], params: Analysis) -> None:
    """Draw figures of one dictionary from its tables.

    Args:
        tables: Folder with the tables of the dictionary, `{table}.nc`; each is read once.
        output: Folder for `{figure}.svg`; each file is written whole or not at all.
        figures: Names of figure modules, for example `frequency_histogram`.
        params: Thresholds.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """
    modules = {name: find_figure(name) for name in figures}
    needed = sorted({table for module in modules.values() for table in module.TABLES})
    read = {table: read_table(tables / f"{table}.nc") for table in needed}
    for name, module in modules.items():
        figure = module.draw(**{table: read[table] for table in module.TABLES}, analysis=params)
        theme.save(figure, output / f"{name}.svg")


if __name__ == "__main__":
    run(draw_figures)
