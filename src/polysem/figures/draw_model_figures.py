"""The step that draws the figures of a model, in which all its sites stand together."""

from pathlib import Path

from polysem.figures.draw_figures import Sources, digest_of_file, write_figures
from polysem.io.tables import read_table
from polysem.params.analysis import GivenAnalysis


def draw_model_figures(tables: Path, output: Path, figures: dict[str, str], params: GivenAnalysis) -> None:
    """Draw those figures of one model that are not there yet, made of the same.

    Args:
        tables: Folder of the model, with `{table}.nc`.
        output: Folder for `{figure}.svg`, renewed whole or not at all; its receipt comes to lie beside it.
        figures: Names of figure modules, each with the digest of its code. What they ask for are tables of the model.
        params: Thresholds; a figure gets those that it declares.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """
    write_figures(output, figures, model_sources(tables), params)


def model_sources(tables: Path) -> Sources:
    """What figures of one model are drawn from; `tables` is its folder of tables."""
    return Sources(
        lambda table: read_table(tables / f"{table}.nc"), lambda table: digest_of_file(tables / f"{table}.nc")
    )
