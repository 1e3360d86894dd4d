"""The step that draws the figures of a set of known features, in which all SAEs trained on it stand together."""

from pathlib import Path

import xarray as xr

from polysem.figures.draw_figures import write_figures
from polysem.io.tables import read_table
from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import along_dictionaries


def draw_toy_figures(tables: Path, output: Path, saes: list[str], figures: list[str]) -> None:
    """Draw figures of one set of known features from the tables of the SAEs that were trained on it.

    Args:
        tables: Folder of the set, with `{sae}.nc`.
        output: Folder `{toy}/known/together` for `{figure}.svg`, written whole or not at all; its receipt comes to lie
            beside it.
        saes: All SAEs of the set, in the order in which they are drawn.
        figures: Names of figure modules, for example `absorption_and_hedging`. What they get as the table `known` holds
            the numbers of all SAEs, along `dictionary`; features of the SAEs, of which they have different numbers, are
            left out.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """

    def read(_: str) -> xr.Dataset:
        each = [read_table(tables / f"{sae}.nc").drop_dims("feature") for sae in saes]
        return along_dictionaries(each, saes).assign_attrs(model=output.parts[-3])

    write_figures(output, figures, read, Analysis())
