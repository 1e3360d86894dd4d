"""The step that draws the figures in which all dictionaries of a site stand together."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from polysem.figures.draw_figures import Sources, digest_of_file, write_figures
from polysem.figures.parts.families import with_families
from polysem.io.content import text_digest
from polysem.io.folders import artifact_digest, receipt_of
from polysem.io.tables import read_table
from polysem.params.analysis import GivenAnalysis
from polysem.params.base import ALL_DICTIONARIES
from polysem.tables.parts.labels import along_dictionaries


def draw_site_figures(
    tables: Path,
    output: Path,
    dictionaries: list[str],
    families: dict[str, str],
    figures: dict[str, str],
    params: GivenAnalysis,
    recipes: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Draw those figures of one site that are not there yet, made of the same.

    Args:
        tables: Folder of the site, with `{dictionary}/{table}.nc` and the receipt of each dictionary's tables.
        output: Folder for `{figure}.svg`, renewed whole or not at all; its receipt comes to lie beside it.
        dictionaries: All dictionaries of the site, in the order in which they are drawn.
        families: Name of the recipe that each of them is of, by dictionary; of neurons their own. Tables have it as the
            coordinate `family` along `dictionary`.
        figures: Names of figure modules, for example `loss_recovered`, each with the digest of its code. A table that
            they ask for as `site/{table}` is one of the site itself, `{table}.nc` in its folder; any other holds the
            numbers of all dictionaries, along `dictionary`.
        params: Thresholds; a figure gets those that it declares.
        recipes: Hyper-parameters of the dictionaries that were trained here, by dictionary, for figures that ask for
            the table `recipes`.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """
    write_figures(output, figures, site_sources(tables, dictionaries, families, recipes or {}), params)


def site_sources(
    tables: Path, dictionaries: list[str], families: dict[str, str], recipes: dict[str, dict[str, Any]]
) -> Sources:
    """What figures of one site are drawn from; arguments are those of `draw_site_figures`."""

    def read(table: str) -> xr.Dataset:
        return with_families(without_families(table), families)

    def without_families(table: str) -> xr.Dataset:
        if table == RECIPES:
            return recipe_table(recipes, dictionaries)
        if table.startswith(SITE):
            return read_table(tables / f"{table.removeprefix(SITE)}.nc")
        return _together(tables, table, dictionaries)

    def digest(table: str) -> str:
        return text_digest(json.dumps([content(table), families], sort_keys=True))

    def content(table: str) -> Any:
        if table == RECIPES:
            return [dictionaries, recipes]
        if table.startswith(SITE):
            return digest_of_file(tables / f"{table.removeprefix(SITE)}.nc")
        return [(name, artifact_digest(receipt_of(tables / name), table)) for name in dictionaries]

    return Sources(read, digest)


SITE = "site/"
RECIPES = "recipes"


def recipe_table(recipes: dict[str, dict[str, Any]], dictionaries: list[str]) -> xr.Dataset:
    """`recipe` over `dictionary`: hyper-parameters as JSON, keys sorted; empty for what was not trained here."""
    texts = [json.dumps(recipes[name], sort_keys=True) if name in recipes else "" for name in dictionaries]
    return xr.Dataset(
        {"recipe": ("dictionary", np.array(texts, dtype=object))}, {"dictionary": np.array(dictionaries, dtype=object)}
    )


def _together(tables: Path, table: str, dictionaries: list[str]) -> xr.Dataset:
    """A table of all dictionaries, along `dictionary`; attributes are those of the first.

    What has dimensions that differ between them is left out, and all that is said of each feature; `features` is the
    number of features, where the table has that dimension.
    """
    each = [_without_features(read_table(tables / name / f"{table}.nc")) for name in dictionaries]
    sizes = {dim: {one.sizes.get(dim) for one in each} for one in each for dim in one.sizes}
    differing = [dim for dim, found in sizes.items() if len(found) > 1]
    each = [one.drop_dims(differing, errors="ignore") for one in each]
    return along_dictionaries(each, dictionaries).assign_attrs(dictionary=ALL_DICTIONARIES)


def _without_features(table: xr.Dataset) -> xr.Dataset:
    if "feature" not in table.sizes:
        return table
    return table.drop_dims("feature").assign(features=table.sizes["feature"])
