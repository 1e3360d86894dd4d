"""`polysem report`: the report of a finished run in one file."""

import argparse
from pathlib import Path

from polysem.io.atomic import write_text
from polysem.params.study import load_study
from polysem.workflow.artifacts import REPORT, REPORT_INDEX
from polysem.workflow.commands.places import require_file_name
from polysem.workflow.commands.status import require_made

MEGABYTE = 1e6


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--one-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="the HTML file to write, which opens anywhere without a network",
    )
    parser.add_argument("--configfile", type=Path, default=Path("params.yaml"), help="the params file of the run")


def command(options: argparse.Namespace) -> int:
    """Write the front page, the documents and the claims of a finished report as one file, for a mail."""
    require_file_name(options.one_file, "--one-file")
    load_study(options.configfile)
    require_made(REPORT_INDEX, options.configfile)

    from polysem.report.one_file import one_file

    text = one_file(Path(REPORT))
    options.one_file.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.one_file, text)
    print(f"written: {options.one_file}, {len(text.encode()) / MEGABYTE:.1f} MB")
    return 0
