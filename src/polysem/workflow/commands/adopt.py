"""`polysem adopt`: write the missing records of artifacts that git and DVC vouch for."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.workflow import artifacts
from polysem.workflow.provenance.guard import ADOPTING
from polysem.workflow.provenance.records import read_made
from polysem.workflow.running.seals import write_seal

RECORDS = ".snakemake/metadata"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command has no options: `params.yaml` as it is committed is what DVC vouches for."""


def command(options: argparse.Namespace) -> int:
    """Bless what is under results/ when Snakemake's records of it are missing.

    Only with clean git and clean `dvc status`: then `dvc.lock` says that these bytes were made from these params and
    sources. Otherwise InputError, and nothing is changed.
    """
    if not Path("Snakefile").is_file():
        raise InputError("there is no Snakefile here; call this in the folder of the workflow")
    require_clean_git()
    require_clean_dvc()
    _run("snakemake", "--touch", "--forceall", "--cores", "1", adopting=True)
    write_seals(artifacts.everything(load_study(Path("params.yaml"))))
    if "Nothing to be done" not in _run("snakemake", "--dry-run"):
        raise InputError("the records are written, yet `snakemake -n` still finds work; look at what it names")
    print(f"adopted: {RECORDS} is written; `dvc commit -f` stores it")
    return 0


def write_seals(paths: list[str]) -> None:
    """Seal every job of the artifacts, by their records, as its step would have done."""
    jobs: dict[tuple[str, str], list[Path]] = {}
    for path in paths:
        if Path(path).exists() and (made := read_made(path)):
            jobs.setdefault((made.log, made.command), []).append(Path(path))
    for (log, command), outputs in jobs.items():
        write_seal(log, command, outputs)


def require_clean_git() -> None:
    """InputError if the working tree differs from the last commit."""
    done = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True)
    if done.returncode:
        raise InputError(
            f"git does not answer here ({done.stderr.strip()}); only a git repository can vouch for artifacts"
        )
    if done.stdout:
        first = done.stdout.splitlines()[0]
        raise InputError(
            f"git is not clean ({first.strip()}, …), so nothing vouches for what is in results/; "
            "commit or stash first, or delete results/"
        )


def require_clean_dvc() -> None:
    """InputError if DVC finds any other difference from `dvc.lock` than the records themselves."""
    if not Path("dvc.lock").is_file():
        raise InputError(
            "there is no dvc.lock, so DVC cannot vouch for what is in results/; delete results/ and run again"
        )
    if other := sorted(set(_differences(json.loads(_run("dvc", "status", "--json")))) - {RECORDS}):
        raise InputError(
            f"`dvc status` is not clean ({', '.join(other[:3])}), so nothing vouches for what is in results/; "
            "run `dvc checkout`, or delete results/ and run again"
        )


def _differences(status: dict[str, Any]) -> list[str]:
    """The paths that `dvc status --json` names as changed."""
    found: list[str] = []
    for stage, reasons in status.items():
        for reason in reasons:
            if isinstance(reason, dict):
                found += [path for changes in reason.values() for path in changes]
            else:
                found.append(f"{stage}: {reason}")
    return found


def _run(tool: str, *arguments: str, adopting: bool = False) -> str:
    """Standard output and error of a tool of this environment; InputError if it fails."""
    environment = os.environ | ({ADOPTING: "1"} if adopting else {})
    done = subprocess.run([sys.executable, "-m", tool, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InputError(f"`{tool} {' '.join(arguments)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout if tool == "dvc" else done.stdout + done.stderr
