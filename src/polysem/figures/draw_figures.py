"""The step that draws the figures of one dictionary."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import LABELS
from polysem.figures.registry import FigureModule, NotApplicable, find_figure
from polysem.io.content import file_digest
from polysem.io.folders import written_folder
from polysem.io.tables import read_table
from polysem.layout.feature_labels import read_labels
from polysem.params.analysis import Analysis, GivenAnalysis

TRAINING = "training"
ON_SHEETS = ("cluster_token", "cluster_activation", "cluster_sequence", "cluster_example")
"""Variables that no figure shows, and that take long to read."""


def draw_figures(
    tables: Path,
    output: Path,
    figures: list[str],
    params: GivenAnalysis,
    training: Path | None = None,
    labels: Path | None = None,
) -> None:
    """Draw figures of one dictionary from its tables.

    Args:
        tables: Folder with the tables of the dictionary, `{table}.nc`; each is read once. A figure may ask for a table
            of the neurons of the same site, as `neurons/{table}`.
        output: Folder for `{figure}.svg`, written whole or not at all; its receipt comes to lie beside it.
        figures: Names of figure modules, for example `frequency_histogram`.
        params: Thresholds.
        training: History of the training, for figures that ask for the table `training`; without one, as for neurons
            and imported SAEs, that table is empty.
        labels: What people call features of the dictionary; the file need not exist.

    Raises InputError for an unknown figure, before any is drawn, and for a table or labels that are missing or broken.
    """
    read = dictionary_tables(tables, output.parts[-3:], training, labels)
    write_figures(output, figures, read, params)


def dictionary_tables(
    tables: Path, names: Sequence[str], training: Path | None = None, labels: Path | None = None
) -> Callable[[str], xr.Dataset]:
    """What reads the tables that figures of one dictionary ask for, by name; arguments are those of `draw_figures`, and
    `names` are model, site and dictionary."""
    named = {} if labels is None else read_labels(labels)
    called = {feature: "; ".join(label.text for label in several) for feature, several in named.items()}

    def read(table: str) -> xr.Dataset:
        if table == TRAINING:
            about = dict(zip(("model", "site", "dictionary"), names, strict=True))
            return (xr.Dataset() if training is None else read_table(training)).assign_attrs(about)
        folder = tables.parent if "/" in table else tables
        found = read_table(folder / f"{table}.nc", without=ON_SHEETS)
        return found if "/" in table else found.assign_attrs({LABELS: called})

    return read


def write_figures(output: Path, figures: Sequence[str], read: Callable[[str], xr.Dataset], params: Analysis) -> None:
    """Draw figures into a folder. The receipt says of each its catalogue ids, its title and the digest of its file, or
    why there is none."""
    modules = {name: find_figure(name) for name in figures}
    needed = sorted({table for module in modules.values() for table in module.TABLES})
    found: Mapping[str, xr.Dataset] = {table: read(table) for table in needed}
    with written_folder(output) as (folder, receipt):
        receipt["figures"] = drawn = {}
        for name, module in modules.items():
            said = {"catalogue": module.CATALOGUE, "title": module.TITLE}
            try:
                figure = draw_one(module, found.__getitem__, params)
            except NotApplicable as reason:
                drawn[name] = said | {"not_applicable": str(reason)}
                continue
            theme.save(figure, folder / f"{name}.svg")
            drawn[name] = said | {"sha256": file_digest(folder / f"{name}.svg")}


def draw_one(module: FigureModule, read: Callable[[str], xr.Dataset], params: Analysis) -> Figure:
    """A figure of the tables that it asks for. NotApplicable, with the reason, if there is none of these."""
    given = {argument(table): read(table) for table in module.TABLES}
    return module.draw(**given, analysis=params)


def argument(table: str) -> str:
    """The name under which `draw` takes a table: `frequency`, `neurons_frequency`."""
    return table.replace("/", "_")
