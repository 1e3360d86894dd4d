"""`polysem explain`: from a figure back to the data, in words."""

import argparse
import ast
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from polysem.io.errors import InputError
from polysem.io.folders import read_folder_receipt, renewed_receipt
from polysem.layout.place import ANY_DICTIONARY, RESULTS, SPLITS, Place, all_figures, corpus
from polysem.layout.studied import control_dictionaries, control_sites, dictionaries, sites
from polysem.params.base import TOGETHER
from polysem.params.explain import nearest
from polysem.params.study import Study, load_study
from polysem.workflow.artifacts import FEATURE_TABLES, REPORT_PAGES, TRAINED_SAE_FILES, model_files, sae_files
from polysem.workflow.provenance.records import Record, chain, read_record
from polysem.workflow.running.code import SOURCE
from polysem.workflow.tables import told

COPIES = (f"{all_figures(REPORT_PAGES)}/", f"{all_figures()}/")
"""Where figures lie: the report has a copy of each."""
WIDTH = 110
ANALYSIS = "analysis"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "figure", metavar="FIGURE", help="path of a figure, model/site/dictionary/figure, or model/site/figure"
    )
    parser.add_argument("--configfile", type=Path, default=Path("params.yaml"), help="the params file of the run")


def command(options: argparse.Namespace) -> int:
    """Tell how a figure came to be: every step from it back to the data."""
    place, name = found(options.figure)
    print("\n".join(explanation(place, name, sections(load_study(options.configfile)))))
    return 0


def found(text: str) -> tuple[Place, str]:
    """Whose figure a user means, and its name. InputError, with the nearest, if there is none."""
    path = Path(text).as_posix().removesuffix(".svg")
    for start in COPIES:
        path = path.partition(start)[2] or path
    parts = path.split("/")
    if len(parts) == 3:
        parts.insert(2, TOGETHER)
    if len(parts) != 4:
        raise InputError(f"{text!r} is no figure; expected model/site/dictionary/figure, or model/site/figure")
    model, site, dictionary, name = parts
    place, folder = Place(model, site, "" if dictionary == TOGETHER else dictionary), "/".join(parts[:3])
    receipts = Path().glob(ANY_DICTIONARY.figures.receipt)
    there = sorted(receipt.relative_to(all_figures()).with_suffix("").as_posix() for receipt in receipts)
    if folder not in there:
        known = f"there are {', '.join(there)}" if there else "there are none; run `snakemake --cores all`"
        raise InputError(f"no figures are drawn for {folder!r}{nearest(folder, there)}; {known}")
    figures = figures_of(place)
    if name not in figures:
        raise InputError(f"{folder} has no figure {name!r}{nearest(name, list(figures))}; it has {', '.join(figures)}")
    return place, name


def figures_of(place: Place) -> dict[str, dict[str, Any]]:
    """What the receipt of a folder of figures says of each. InputError if it is not what a run writes."""
    folder = place.figures.path
    receipt: Any = read_folder_receipt(Path(folder))
    figures = receipt.get("artifacts") if isinstance(receipt, dict) else None
    if not isinstance(figures, dict) or not all(
        isinstance(said, dict) and {"catalogue", "title", "reads", "params"} <= said.keys() for said in figures.values()
    ):
        raise InputError(f"the receipt {folder}.json is not what a run writes; delete {folder} and run again")
    return figures


def sections(study: Study) -> dict[str, str]:
    """The entry of the params file that the values of a step stand under, by what it makes; all else is made with those
    of `analysis`."""
    found = {corpus(name): f"corpora.{name}" for name in study.corpora}
    for name, model in study.every_model.items():
        of_model = [Place(name).weights.file(file) for file in model_files(model)]
        stores = [Place(name), *(site for site in [*sites(study), *control_sites(study)] if site.model == name)]
        of_model += [file for at in stores for split in SPLITS for file in _stored(at, split)]
        found |= dict.fromkeys(of_model, f"models.{name}")
    for place in [*dictionaries(study), *control_dictionaries(study)]:
        if sae := study.saes.get(place.dictionary):
            found |= dict.fromkeys(sae_files(place, TRAINED_SAE_FILES), f"saes.{sae.recipe_name}")
    return found


def _stored(at: Place, split: str) -> tuple[str, str]:
    return (at.activations(split) if at.site else at.tokens(split)).files


def explanation(place: Place, name: str, sections: Mapping[str, str]) -> Iterator[str]:
    """The chain, line by line: the figure, then every job behind it, each after all that was made from it.

    InputError if Snakemake has no record of the figure.
    """
    folder, said = place.figures.path, figures_of(place)[name]
    drawing = read_record(folder)
    if drawing is None:
        raise InputError(
            f"Snakemake has no record of how {folder} was made; run `dvc checkout` (or `dvc pull`) to get artifacts "
            "and records together, or `snakemake --cores all`"
        )
    tables = _tables(place, _read_by(drawing), said["reads"])
    drawing = replace(drawing, params=said["params"])
    yield f"{said['catalogue']} · {said['title']}"
    yield place.figure(name)
    if reason := said.get("not_applicable"):
        yield from _wrapped(f"Not drawn: {reason}", "")
    yield from ["", f"The figure {name} shows {_several([Path(table).stem for table in tables], 'the table')}."]
    shown = [*map(_known_by, tables)]
    jobs = chain(drawing, lambda record: shown if record.artifact == folder else list(record.inputs))
    numbers = {record.artifact: number for number, job in enumerate(jobs, 1) for record in job}
    for number, job in enumerate(jobs, 1):
        yield from ["", *_job(number, job, numbers, tables if number == 1 else [], sections)]
    outside = {path for job in jobs for record in job for path in record.inputs if path not in numbers}
    if missing := sorted(path for path in outside if path.startswith(f"{RESULTS}/") and read_record(path) is None):
        yield from ["", *_wrapped(f"No record tells how these were made: {', '.join(missing)}.", "")]


def _read_by(record: Record) -> list[str]:
    """The inputs of a job, with the tables of a dictionary in place of the receipt that stands for them."""
    found: list[str] = []
    for path in record.inputs:
        standing = _standing_for(path)
        found += [path] if standing is None else map(standing.table, FEATURE_TABLES)
    return found


def _standing_for(path: str) -> Place | None:
    """The dictionary whose tables a file is the receipt of; None for every other file."""
    names = PurePath(path).with_suffix("").parts[-3:]
    if len(names) < 3:
        return None
    place = Place.named(names)
    return place if place.tables_receipt == path else None


def _known_by(path: str) -> str:
    """The artifact that has a record: of a table of a dictionary the receipt that it shares with the others."""
    file = PurePath(path)
    if len(file.parts) < 4:
        return path
    place = Place.named(file.parts[-4:-1])
    return place.tables_receipt if place.table(file.stem) == path else path


def _tables(place: Place, read: list[str], names: list[str]) -> list[str]:
    """Those inputs of a drawing job that a figure names: `table` of its dictionary (or, where all of a site stand
    together, of every one), `neurons/table`, `site/table`."""
    wanted = []
    for name in names:
        folder, _, table = name.rpartition("/")
        owner = {"": place.dictionary or "*", "site": ""}.get(folder, folder)
        wanted.append(place.of(owner).table(table))
    return [path for pattern in wanted for path in read if Path(path).match(pattern)]


def _job(
    number: int, job: list[Record], numbers: dict[str, int], only: list[str], sections: Mapping[str, str]
) -> Iterator[str]:
    record = job[0]
    made = ", ".join(one.artifact for one in job)
    yield from _wrapped(f"{number}. {made}", "   ")
    step = f", step {record.module}: {_summary(record.module)}" if record.module else ""
    yield from _wrapped(f"   rule {record.rule}{step}", "   ")
    inputs = only or list(dict.fromkeys(path for one in job for path in one.inputs))
    known = [
        f"{path} ({numbers[_known_by(path)]})" if _known_by(path) in numbers else path
        for path in inputs
        if path not in made
    ]
    yield from _wrapped(
        f"   read {', '.join(known)}" if known else "   read no file; its params are all it needs", "      "
    )
    if record.params:
        values = ", ".join(f"{key} = {value}" for key, value in dict(_flat(told(record.params))).items())
        yield from _wrapped(f"   params ({sections.get(record.artifact, ANALYSIS)}): {values}", "      ")
    if record.digests:
        yield f"   digests of code and of files from outside: {', '.join(record.digests)}"
    if receipt := renewed_receipt(Path(record.artifact)):
        target = shlex.quote(receipt.as_posix())
        yield f"   again: rm {target}; snakemake --cores all {target}"
    else:
        yield f"   again: snakemake --cores all --force {shlex.quote(record.artifact)}"


def _summary(module: str) -> str:
    """The first line of a step's docstring, without importing it."""
    path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else None
    return (text or "gone from this version").splitlines()[0].removeprefix("Step: ")


def _flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values with dotted keys; `params` itself is no key of the user's."""
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            yield from _flat(value, "" if key == "params" else f"{name}.")
        else:
            yield name, value


def _several(names: list[str], word: str) -> str:
    unique = list(dict.fromkeys(names))
    return f"{word}{'s' if len(unique) > 1 else ''} {', '.join(unique)}" if unique else "no table"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]
