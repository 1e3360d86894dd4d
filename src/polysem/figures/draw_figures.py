"""The step that draws the figures of one dictionary."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from polysem.figures.parts import theme
from polysem.figures.parts.feature_names import LABELS
from polysem.figures.registry import FigureModule, NotApplicable, find_figure
from polysem.io.content import file_digest, text_digest
from polysem.io.errors import InputError
from polysem.io.folders import artifact_digest, from_tables, receipt_of, renewed_folder
from polysem.io.tables import read_table
from polysem.layout.annotations import NOBODY, Annotations, labels_in
from polysem.params.analysis import Analysis, GivenAnalysis

TRAINING = "training"
ON_SHEETS = ("cluster_token", "cluster_activation", "cluster_sequence", "cluster_example")
"""Variables that no figure shows, and that take long to read."""


@dataclass(frozen=True)
class Sources:
    """What figures are drawn from, by the names that stand in their `READS`."""

    read: Callable[[str], xr.Dataset]
    digest: Callable[[str], str]
    """Of what `read` gives, without reading it."""
    labels: dict[int, str] = field(default_factory=dict)
    """What people call features."""


def draw_figures(
    tables: Path,
    output: Path,
    figures: dict[str, str],
    params: GivenAnalysis,
    training: Path | None = None,
    annotations: Annotations = NOBODY,
) -> None:
    """Draw those figures of one dictionary that are not there yet, made of the same.

    Args:
        tables: Folder with the tables of the dictionary, `{table}.nc`, and their receipt; each table is read once. A
            figure may ask for a table of the neurons of the same site, as `neurons/{table}`.
        output: Folder for `{figure}.svg`, renewed whole or not at all; its receipt comes to lie beside it.
        figures: Names of figure modules, for example `frequency_histogram`, each with the digest of its code.
        params: Thresholds; a figure gets those that it declares.
        training: History of the training, for figures that ask for the table `training`; without one, as for neurons
            and imported SAEs, that table is empty.
        annotations: What people call features of the dictionary.

    Raises InputError for an unknown figure, before any is drawn, and for a table that is missing or broken.
    """
    said = annotations.about(receipt_of(tables))
    sources = dictionary_sources(tables, output.parts[-3:], training, labels_in(said))
    write_figures(output, figures, sources, params, from_tables(tables))


def dictionary_sources(
    tables: Path,
    names: Sequence[str],
    training: Path | None = None,
    labels: Mapping[int, str] = MappingProxyType({}),
) -> Sources:
    """What figures of one dictionary are drawn from; arguments are those of `draw_figures`, `names` are model, site and
    dictionary, and `labels` what features are called."""

    def read(table: str) -> xr.Dataset:
        if table == TRAINING:
            about = dict(zip(("model", "site", "dictionary"), names, strict=True))
            return (xr.Dataset() if training is None else read_table(training)).assign_attrs(about)
        return read_table(_folder(tables, table) / f"{table}.nc", without=ON_SHEETS)

    def digest(table: str) -> str:
        if table == TRAINING:
            return "" if training is None else digest_of_file(training)
        return artifact_digest(receipt_of(_folder(tables, table) / Path(table).parent), Path(table).name)

    return Sources(read, digest, dict(labels))


def _folder(tables: Path, table: str) -> Path:
    """The folder that the name of a table begins in: `neurons/…` is beside the dictionary's own."""
    return tables.parent if "/" in table else tables


def digest_of_file(path: Path) -> str:
    """The sha256 of a table that has no receipt; InputError if it cannot be read."""
    try:
        return file_digest(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read as a table ({error}); delete it and run again") from error


def write_figures(
    output: Path,
    figures: Mapping[str, str],
    sources: Sources,
    params: Analysis,
    made_from: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Draw the figures whose receipt tells of other code, params, tables or labels than theirs; the others stay.

    The receipt says of each its catalogue ids and title, what it reads, its params, and the digest of its file or why
    there is none; and `made_from` for all of them.
    """
    modules = {name: find_figure(name) for name in figures}
    given = {name: {key: getattr(params, key) for key in module.PARAMS} for name, module in modules.items()}
    read, digest = cache(sources.read), cache(sources.digest)
    called = text_digest(json.dumps(sources.labels, sort_keys=True))

    def made_of(name: str) -> str:
        found = {table: called if table == LABELS else digest(table) for table in modules[name].READS}
        return text_digest(json.dumps([figures[name], given[name], found], sort_keys=True))

    with renewed_folder(output, {name: made_of(name) for name in modules}, made_from) as renewal:
        for name in renewal.missing:
            module = modules[name]
            said: dict[str, Any] = {"catalogue": module.CATALOGUE, "title": module.TITLE}
            said |= {"reads": list(module.READS), "params": given[name]}
            try:
                figure = draw(module, read, given[name], sources.labels)
            except NotApplicable as reason:
                renewal.add(name, None, **said, not_applicable=str(reason))
                continue
            theme.save(figure, renewal.folder / f"{name}.svg")
            renewal.add(name, f"{name}.svg", **said)


def draw(
    module: FigureModule, read: Callable[[str], xr.Dataset], params: Mapping[str, Any], labels: Mapping[int, str]
) -> Figure:
    """The figure of a module: it gets the tables that it reads, the params that it declares, and labels only where it
    says that it reads them. NotApplicable as `FigureModule.draw` raises it."""
    tables = {argument(table): read(table) for table in module.READS if table != LABELS}
    if LABELS in module.READS:
        tables = {name: table.assign_attrs({LABELS: dict(labels)}) for name, table in tables.items()}
    return module.draw(**tables, analysis=GivenAnalysis.model_validate({key: params[key] for key in module.PARAMS}))


def argument(table: str) -> str:
    """The name under which `draw` takes a table: `frequency`, `neurons_frequency`."""
    return table.replace("/", "_")
