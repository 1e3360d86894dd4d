"""`polysem diff`: two runs side by side."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from polysem.io.atomic import write_text
from polysem.io.errors import InputError
from polysem.workflow.commands.differences import Differences, Line, Pair, differences
from polysem.workflow.commands.places import require_file_name
from polysem.workflow.commands.sides import Side, read_side

FOLDER = Path(__file__).parent
STYLE = FOLDER.parents[1] / "report" / "page.css"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("before", metavar="A", help="a revision of git, or a results folder")
    parser.add_argument("after", metavar="B", help="the other one")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="a file for the text; standard output without it")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="a page with the figures side by side, which lie in FILE_figures"
    )


def command(options: argparse.Namespace) -> int:
    """Show params, metrics, verdicts and figures that differ between two revisions or two results folders."""
    for option, path in (("--markdown", options.markdown), ("--html", options.html)):
        if path:
            require_file_name(path, option)
    one, other = read_side(options.before), read_side(options.after)
    found = differences(one, other)
    text = "\n".join(markdown(one, other, found)) + "\n"
    if options.markdown:
        write_text(options.markdown, text)
        print(f"written: {options.markdown}", file=sys.stderr)
    else:
        print(text, end="")
    if options.html:
        write_page(options.html, one, other, found)
        print(f"written: {options.html}", file=sys.stderr)
    return 0


def markdown(one: Side, other: Side, found: Differences) -> Iterator[str]:
    """The differences as Markdown, line by line."""
    yield f"# {_cell(one.name)} → {_cell(other.name)}"
    if not found:
        yield from ["", "Nothing that can be compared differs."]
    if found.params:
        yield from _table("Params", "key", found.params, changes=False)
    for title, names in ((f"Only in {one.name}", found.only_before), (f"Only in {other.name}", found.only_after)):
        if names:
            yield from ["", f"## {_cell(title)}", "", *(f"- {_cell(name)}" for name in names)]
    if found.metrics:
        yield from ["", f"## Metrics ({found.same_metrics} are the same)"]
        for owner, lines in found.metrics.items():
            yield from _table(owner, "metric", lines, changes=True, level=3)
    if found.verdicts:
        yield from _table("Verdicts", "claim", found.verdicts, changes=False)
    if found.figures:
        yield from ["", f"## Figures ({found.same_figures} are the same)", ""]
        for folder, pairs in groupby(found.figures, lambda pair: pair.key.rpartition("/")[0]):
            named = ", ".join(f"{_cell(pair.key.rpartition('/')[2])} ({_cell(pair.state)})" for pair in pairs)
            yield f"- {_cell(folder)}: {named}"
    if notes := [*one.notes, *other.notes]:
        yield from ["", "## Not compared", "", *(f"- {_cell(note)}" for note in notes)]


def write_page(path: Path, one: Side, other: Side, found: Differences) -> None:
    """The differences as one page, and copies of the figures that differ in the folder `{name}_figures` beside it.

    Raises InputError if that folder is there and holds anything else than figures, or is no folder.
    """
    folder = path.with_name(f"{path.stem}_figures")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder for figures; remove it, or name another --html")
    if folder.is_dir() and any(file.is_file() and file.suffix != ".svg" for file in folder.rglob("*")):
        raise InputError(f"{folder} holds other files than figures; remove it, or name another --html")
    shutil.rmtree(folder, ignore_errors=True)
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pairs = [
        (pair, _copy(pair, pair.before, folder, "a"), _copy(pair, pair.after, folder, "b")) for pair in found.figures
    ]
    page = environment.get_template("diff.html.j2").render(
        one=one, other=other, found=found, pairs=pairs, style=STYLE.read_text(encoding="utf-8")
    )
    write_text(path, page)


def _copy(pair: Pair, file: Path | None, folder: Path, side: str) -> str:
    """Copy a figure beside the page; its address, or '' if there is none."""
    if file is None:
        return ""
    target = folder / side / f"{pair.key}.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    return quote(target.relative_to(folder.parent).as_posix())


def _table(title: str, first: str, lines: list[Line], changes: bool, level: int = 2) -> Iterator[str]:
    yield from ["", f"{'#' * level} {_cell(title)}", ""]
    yield f"| {first} | before | after |" + (" change |" if changes else "")
    yield "|---|---:|---:|" + ("---:|" if changes else "")
    for line in lines:
        cells = [line.key, line.before, line.after, *([line.change] if changes else [])]
        yield f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Text that ends no cell and starts no markup."""
    for mark in "\\|<>*`[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
