"""`polysem notes`: the features that people starred or commented."""

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from polysem.io.errors import InputError
from polysem.layout.place import RESULTS
from polysem.workflow.commands.places import require_in_folders

if TYPE_CHECKING:
    from polysem.study.notes import Listed
    from polysem.study.study import Study

UNKNOWN = "no tables here tell which training there is"
OTHER = "of another training"
HOME = "../../../../index.html"
"""From a sheet of an exported list to its first page."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    _filters(parser, {})
    parser.set_defaults(action=_print)
    actions = parser.add_subparsers(metavar="ACTION")
    export = actions.add_parser(
        "export", help="write the list as a folder of pages that opens from disk", allow_abbrev=False
    )
    export.add_argument("folder", metavar="FOLDER", type=Path, help="a folder that is not there yet")
    _filters(export, {"default": argparse.SUPPRESS})
    export.set_defaults(action=_export)
    add = actions.add_parser("add", help="star, label or comment a feature", allow_abbrev=False)
    add.add_argument("dictionary", metavar="DICTIONARY", help="model/site/dictionary")
    add.add_argument("feature", metavar="FEATURE", type=int, help="its number, counted from 0")
    add.add_argument("--results", default=argparse.SUPPRESS, help="the results folder, or the folder of its repository")
    add.add_argument("--author", default=argparse.SUPPRESS, help="who says it; git's user.name without it")
    add.add_argument("--star", action=argparse.BooleanOptionalAction, help="give it a star, or take it away")
    add.add_argument("--label", default=argparse.SUPPRESS, help="what to call it; '' takes the label away")
    add.add_argument("--note", help="more about the label")
    add.add_argument("--comment", help="a comment, which comes to those that are there")
    add.set_defaults(action=_add)


def command(options: argparse.Namespace) -> int:
    """List the features that people starred or commented, export the list as pages, or add a note."""
    from polysem.study.study import open_study

    status: int = options.action(open_study(options.results), options)
    return status


def _filters(parser: argparse.ArgumentParser, default: dict[str, Any]) -> None:
    parser.add_argument(
        "--results", **({"default": RESULTS} | default), help="the results folder, or the folder of its repository"
    )
    parser.add_argument("--author", **default, help="only what this author starred or commented")
    parser.add_argument("--model", **default, help="only features of this model")
    parser.add_argument("--label", metavar="TEXT", **default, help="only features with a label that holds this text")


def _listed(study: "Study", options: argparse.Namespace) -> "list[Listed]":
    from polysem.study.notes import listed

    if options.model is not None:
        study[options.model]
    return listed(study, options.author, options.model, options.label)


def _print(study: "Study", options: argparse.Namespace) -> int:
    found = _listed(study, options)
    before = ""
    for one in found:
        if (path := one.dictionary.place.path) != before:
            print(path)
        before = path
        for line in _lines(one):
            print(line)
    print(f"{len(found)} feature{'' if len(found) == 1 else 's'}")
    return 0


def _lines(one: "Listed") -> Iterator[str]:
    """What is said of a feature: its label and stars, and a line for each comment and for notes of other trainings."""
    stars = f"★ {', '.join(one.said.starred_by)}" if one.said.starred_by else ""
    yield plain("  ".join(part for part in (f"{one.number:>7}", stars, one.said.label) if part))
    for author, comment in one.said.comments:
        yield plain(f"         {author}, {comment.date}: {comment.text}")
    whose = OTHER if one.weights else UNKNOWN
    for note in one.said.others:
        said = ["★"] * note.star + [note.label] * bool(note.label)
        yield plain(f"         {whose} ({note.weights[:8]}): {' '.join([*said, note.author])}")
        for comment in note.comments:
            yield plain(f"           {note.author}, {comment.date}: {comment.text}")


def plain(text: str) -> str:
    """The text, with characters that a terminal obeys or does not show by their numbers."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _export(study: "Study", options: argparse.Namespace) -> int:
    """Write the first page of the list, and a sheet for each of its features that is there."""
    from polysem.report.notes_index import Row, notes_index

    output: Path = options.folder
    require_in_folders(output, "FOLDER")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already; remove it or name another folder")
    found = _listed(study, options)
    if not found:
        raise InputError("nobody starred or commented such a feature; `polysem notes` lists those that there are")
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    rows = []
    try:
        for one in found:
            place, folder = one.dictionary.place, Path("sheets", *one.dictionary.place.names)
            if not one.is_current:
                rows.append(Row(place, one.number, "", one.said, OTHER if one.weights else UNKNOWN))
                continue
            _copy(partial / folder)
            page = folder / f"{one.number}.html"
            _write(partial / page, one.dictionary.new_sheet(one.number, home=HOME))
            rows.append(Row(place, one.number, quote(page.as_posix()), one.said))
        _copy(partial)
        count = f"{len(rows)} feature{'' if len(rows) == 1 else 's'}"
        _write(partial / "index.html", notes_index(" · ".join([f"Notes: {count}", *_said(options)]), rows))
        if output.exists():
            output.rmdir()
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"written: {output}")
    return 0


def _said(options: argparse.Namespace) -> list[str]:
    """The filters in words."""
    filters = {"by": options.author, "of": options.model, "label": options.label}
    return [f"{word} {value}" for word, value in filters.items() if value is not None]


def _copy(folder: Path) -> None:
    """Style sheet and script of sheets."""
    from polysem.report.write_sheets import FILES, TEMPLATES

    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(TEMPLATES / name, folder / name)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _add(study: "Study", options: argparse.Namespace) -> int:
    """Change the note of an author about a feature, in the folder of the results' repository."""
    from polysem.layout.annotations import weights_of
    from polysem.layout.notes import write_note

    names = options.dictionary.split("/")
    if len(names) != 3:
        raise InputError(f"{options.dictionary!r} is no dictionary; name it as model/site/dictionary")
    given = {key: getattr(options, key) for key in ("star", "label", "note", "comment")}
    if all(value is None for value in given.values()):
        raise InputError("say what to note: --star, --label, --note or --comment")
    feature = study[names[0]][names[1]][names[2]].feature(options.feature)
    weights = weights_of(study.results.bring(feature.place.tables_receipt))
    root = Path(study.results.root).parent
    note = write_note(feature.place, feature.number, options.author or _user(root), weights, **given, root=root)
    print(
        json.dumps(note.values(), indent=2, ensure_ascii=True) if note else "the note says nothing more; it is removed"
    )
    return 0


def _user(folder: Path) -> str:
    """The name that git knows the user by; InputError if it knows none."""
    asked = subprocess.run(["git", "config", "user.name"], cwd=folder, capture_output=True, text=True, errors="replace")
    if not (name := asked.stdout.strip()):
        raise InputError("git knows no user.name here; say who you are with --author")
    return name
