"""The step that draws the figures of a set of known features, in which all SAEs trained on it stand together."""

import json
from pathlib import Path

import xarray as xr

from polysem.figures.draw_figures import Sources, digest_of_file, write_figures
from polysem.figures.parts.families import with_families
from polysem.io.content import text_digest
from polysem.io.tables import read_table
from polysem.params.analysis import Analysis
from polysem.tables.parts.labels import along_dictionaries


def draw_toy_figures(
    tables: Path, output: Path, toy: str, saes: list[str], families: dict[str, str], figures: dict[str, str]
) -> None:
    """Draw those figures of one set of known features that are not there yet, made of the same.

    Args:
        tables: Folder of the set, with `{sae}.nc`.
        output: Folder for `{figure}.svg`, renewed whole or not at all; its receipt comes to lie beside it.
        toy: Name of the set.
        saes: All SAEs of the set, in the order in which they are drawn.
        families: Name of the recipe that each of them is of, by SAE; the coordinate `family` along `dictionary`.
        figures: Names of figure modules, each with the digest of its code. What they get as the table `known` holds the
            numbers of all SAEs, along `dictionary`; features of the SAEs, of which they have different numbers, are
            left out.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """

    def read(_: str) -> xr.Dataset:
        each = [read_table(tables / f"{sae}.nc").drop_dims("feature") for sae in saes]
        return with_families(along_dictionaries(each, saes), families).assign_attrs(model=toy)

    def digest(_: str) -> str:
        each = [(sae, digest_of_file(tables / f"{sae}.nc")) for sae in saes]
        return text_digest(json.dumps([each, families], sort_keys=True))

    write_figures(output, figures, Sources(read, digest), Analysis())
