"""`polysem status`: what of a study is missing or stale, why, and how long a run takes."""

import argparse
import subprocess
import sys
from pathlib import Path

from polysem.io.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--configfile", type=Path, help="the params file of the study (default: params.yaml)")
    parser.add_argument("--cores", type=int, help="cores of the run that is estimated (default: all)")


def command(options: argparse.Namespace) -> int:
    """Say which jobs a run would do, why, and about how long they take. Nothing is run or made.

    What counts is content, which Snakemake's records tell; so this is the plan of a dry run.
    """
    if options.cores is not None and options.cores < 1:
        raise InputError(f"--cores is {options.cores}, expected at least 1")
    print(planned(options.configfile, options.cores), end="")
    return 0


def planned(configfile: Path | None, cores: int | None = None, *targets: str) -> str:
    """What a dry run for all of a study, or for some files, says. InputError for what keeps a run from starting."""
    call = [sys.executable, "-m", "snakemake", *targets, "--dry-run", "--quiet", "all"]
    call += [] if cores is None else ["--cores", str(cores)]
    call += [] if configfile is None else ["--configfile", str(configfile)]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode:
        raise InputError(_said(done.stdout + done.stderr))
    return done.stdout


def require_made(target: str, configfile: Path) -> None:
    """InputError unless a file is there and a run with the params file would leave it and all before it as they are."""
    from polysem.workflow.planned import UP_TO_DATE

    call = f"snakemake --cores all {target} --configfile {configfile}"
    if not Path(target).is_file():
        raise InputError(f"{target} is not made yet; run `{call}` first")
    if UP_TO_DATE not in planned(configfile, None, target):
        raise InputError(f"{target} is not what {configfile} gives now; run `{call}` first")


def _said(text: str) -> str:
    """The error of a call of Snakemake, or all that it said."""
    errors = [line for line in text.splitlines() if line.lower().startswith("error: ")]
    return errors[-1].partition(": ")[2] if errors else text.strip()
