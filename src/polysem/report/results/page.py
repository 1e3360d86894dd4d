"""`python -m polysem.report.results.page`: remakes the tables of `docs/results.md` from a finished run.

    python -m polysem.report.results.page --results results

records the numbers of the run of `params.yaml` in `docs/results.json` and writes the tables between the marks of the
page anew; without `--results` the tables are written from the record alone. `--configfile` is the params file of
another run, `--section` names the pair of marks for it, and `--machine` the machine where the results were made, if it
is not this one.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from polysem.io.atomic import write_json, write_text
from polysem.io.errors import InputError
from polysem.params.explain import nearest
from polysem.params.study import load_study
from polysem.report.results.markdown import section
from polysem.report.results.record import recorded

PAGE, RECORD = Path("docs/results.md"), Path("docs/results.json")
DEFAULT = "default"
NOT_REMADE = "*Not remade by this version:*"
"""How tables begin that no record is of."""


def marks(name: str) -> tuple[str, str]:
    """The lines between which the tables of a section stand."""
    return f"<!-- tables: {name}, by python -m polysem.report.results.page -->", f"<!-- end of tables: {name} -->"


def filled(page: str, records: dict[str, Any]) -> str:
    """The page with the tables of all records between their marks; InputError for a record without marks."""
    for name, record in records.items():
        first, last = marks(name)
        if page.count(first) != 1 or page.count(last) != 1 or page.index(first) > page.index(last):
            raise InputError(f"the page has no place for the tables of {name}: it lacks the lines {first} and {last}")
        before, rest = page.split(first)
        page = f"{before}{first}\n{section(record)}{last}{rest.split(last)[1]}"
    return page


def read_records(path: Path) -> dict[str, Any]:
    """The records by section; InputError if the file holds none."""
    try:
        records: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error})") from error
    return records


def remake(results: Path | None, params: Path, name: str, machine: str, page: Path, record: Path) -> None:
    """Record a run, if one is given, and write the page anew."""
    records = read_records(record) if record.is_file() else {}
    if results is not None:
        records[name] = recorded(results, load_study(params), machine)
    elif name not in records:
        raise InputError(f"{record} has no record of {name}{nearest(name, list(records))}; pass --results")
    text = filled(page.read_text(encoding="utf-8"), records)
    write_json(record, records)
    write_text(page, text)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="folder of a finished run; without it the record is read")
    parser.add_argument("--configfile", type=Path, default=Path("params.yaml"), help="the params file of that run")
    parser.add_argument("--section", default=DEFAULT, help="whose tables these are on the page")
    parser.add_argument("--machine", default="", help="where the results were made; this machine without it")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--record", type=Path, default=RECORD)
    options = parser.parse_args(arguments)
    try:
        remake(options.results, options.configfile, options.section, options.machine, options.page, options.record)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: {options.page}, {options.record}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
