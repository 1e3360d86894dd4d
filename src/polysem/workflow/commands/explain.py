"""`polysem explain`: from a figure back to the data, in words."""

import argparse
import ast
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.io.folders import read_folder_receipt
from polysem.params.base import TOGETHER
from polysem.params.explain import nearest
from polysem.workflow.artifacts import FEATURE_TABLES
from polysem.workflow.provenance.records import Record, read_record
from polysem.workflow.running.code import SOURCE
from polysem.workflow.tables import told

FIGURES = "results/figures"
TABLES = "results/tables/"
COPIES = ("results/report/pages/figures/", f"{FIGURES}/")
"""Where figures lie: the report has a copy of each."""
SECTIONS = {
    "corpora": "corpora.{1}",
    "models": "models.{1}",
    "tokens": "models.{1}",
    "activations": "models.{1}",
    "saes": "saes.{3}",
    "tables": "analysis",
    "figures": "analysis",
}
"""Where in params.yaml the values of a step stand, by the folder of what it makes and the parts of that path."""
WIDTH = 110


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "figure", metavar="FIGURE", help="path of a figure, model/site/dictionary/figure, or model/site/figure"
    )


def command(options: argparse.Namespace) -> int:
    """Tell how a figure came to be: every step from it back to the data."""
    folder, name = found(options.figure)
    print("\n".join(explanation(folder, name)))
    return 0


def found(text: str) -> tuple[str, str]:
    """The folder of the figure that a user means, and its name. InputError, with the nearest, if there is none."""
    path = Path(text).as_posix().removesuffix(".svg")
    for start in COPIES:
        path = path.partition(start)[2] or path
    parts = path.split("/")
    if len(parts) == 3:
        parts.insert(2, TOGETHER)
    if len(parts) != 4:
        raise InputError(f"{text!r} is no figure; expected model/site/dictionary/figure, or model/site/figure")
    folder, name = "/".join(parts[:3]), parts[3]
    there = sorted(receipt.relative_to(FIGURES).as_posix()[:-5] for receipt in Path(FIGURES).glob("*/*/*.json"))
    if folder not in there:
        known = f"there are {', '.join(there)}" if there else "there are none; run `snakemake --cores all`"
        raise InputError(f"no figures are drawn for {folder!r}{nearest(folder, there)}; {known}")
    figures = figures_of(Path(FIGURES) / folder)
    if name not in figures:
        raise InputError(f"{folder} has no figure {name!r}{nearest(name, list(figures))}; it has {', '.join(figures)}")
    return f"{FIGURES}/{folder}", name


def figures_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What the receipt of a folder of figures says of each. InputError if it is not what a run writes."""
    receipt: Any = read_folder_receipt(folder)
    figures = receipt.get("figures") if isinstance(receipt, dict) else None
    if not isinstance(figures, dict) or not all(
        isinstance(said, dict) and {"catalogue", "title"} <= said.keys() for said in figures.values()
    ):
        raise InputError(f"the receipt {folder}.json is not what a run writes; delete {folder} and run again")
    return figures


def explanation(folder: str, name: str) -> Iterator[str]:
    """The chain, line by line: the figure, then every job behind it, each after all that was made from it.

    InputError if Snakemake has no record of the figure.
    """
    from polysem.figures.registry import find_figure

    said = figures_of(Path(folder))[name]
    drawing = read_record(folder)
    if drawing is None:
        raise InputError(
            f"Snakemake has no record of how {folder} was made; run `dvc checkout` (or `dvc pull`) to get artifacts "
            "and records together, or `snakemake --cores all`"
        )
    tables = _tables(drawing, find_figure(name).TABLES)
    yield f"{said['catalogue']} · {said['title']}"
    yield f"{folder}/{name}.svg"
    if reason := said.get("not_applicable"):
        yield from _wrapped(f"Not drawn: {reason}", "")
    yield from ["", f"The figure {name} shows {_several([Path(table).stem for table in tables], 'the table')}."]
    jobs = chain(drawing, tables)
    numbers = {record.artifact: number for number, job in enumerate(jobs, 1) for record in job}
    for number, job in enumerate(jobs, 1):
        yield from ["", *_job(number, job, numbers, tables if number == 1 else [])]
    outside = {path for job in jobs for record in job for path in record.inputs if path not in numbers}
    if missing := sorted(path for path in outside if path.startswith("results/") and read_record(path) is None):
        yield from ["", *_wrapped(f"No record tells how these were made: {', '.join(missing)}.", "")]


def chain(drawing: Record, tables: list[str]) -> list[list[Record]]:
    """The jobs behind a figure, each as the records of those of its outputs that the chain needs.

    The drawing job comes first. Of its inputs only the figure's own `tables` are followed; of all others every input.
    """
    jobs: dict[str, list[Record]] = {}
    users: dict[str, set[str]] = {}
    seen: set[str] = set()

    def visit(record: Record, user: str) -> None:
        job = record.log or record.artifact
        users.setdefault(job, set()).update({user} - {job})
        if record.artifact in seen:
            return
        seen.add(record.artifact)
        jobs.setdefault(job, []).append(record)
        for path in record.inputs if user else dict.fromkeys(map(_known_by, tables)):
            if made := read_record(path):
                visit(made, job)

    visit(drawing, "")
    ordered: list[str] = []
    while len(ordered) < len(jobs):
        ordered.append(next(job for job in jobs if job not in ordered and users[job] <= {"", *ordered}))
    return [jobs[job] for job in ordered]


def _read_by(record: Record) -> list[str]:
    """The inputs of a job, with the tables of a dictionary in place of the receipt that stands for them."""
    found = []
    for path in record.inputs:
        folder = path.removesuffix(".json")
        stands = path.startswith(TABLES) and path.endswith(".json") and not folder.endswith(".nc")
        found += [f"{folder}/{table}.nc" for table in FEATURE_TABLES] if stands else [path]
    return found


def _known_by(path: str) -> str:
    """The artifact that has a record: of a table of a dictionary the receipt that it shares with the others."""
    folder = Path(path).parent.as_posix()
    of_dictionary = path.startswith(TABLES) and folder.count("/") == TABLES.count("/") + 2
    return f"{folder}.json" if of_dictionary else path


def _tables(drawing: Record, names: tuple[str, ...]) -> list[str]:
    """Those inputs of a drawing job that a figure names: `table` of its dictionary (or, where all of a site stand
    together, of every one), `neurons/table`, `site/table`."""
    site, dictionary = drawing.artifact.split("/")[-2:]
    wanted = []
    for name in names:
        folder, _, table = name.rpartition("/")
        parent = {"": dictionary, "site": site}.get(folder, folder)
        wanted.append((None if parent == TOGETHER else parent, table))
    found = [(Path(path).parent.name, Path(path).stem, path) for path in _read_by(drawing)]
    return [
        path for parent, table in wanted for folder, stem, path in found if stem == table and parent in (None, folder)
    ]


def _job(number: int, job: list[Record], numbers: dict[str, int], only: list[str]) -> Iterator[str]:
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
        yield from _wrapped(f"   params ({_section(record.artifact)}): {values}", "      ")
    if record.digests:
        yield f"   digests of code and of files from outside: {', '.join(record.digests)}"
    yield f"   again: snakemake --cores all --force {shlex.quote(record.artifact)}"


def _summary(module: str) -> str:
    """The first line of a step's docstring, without importing it."""
    path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else None
    return (text or "gone from this version").splitlines()[0].removeprefix("Step: ")


def _section(artifact: str) -> str:
    """The section of params.yaml that the values of a step come from."""
    parts = artifact.split("/")[1:]
    section = SECTIONS.get(parts[0], "") if len(parts) > 1 else ""
    name = parts[3].split("_")[0] if len(parts) > 3 else ""
    return section.format(*parts[:3], name) if section else "params.yaml"


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
