"""`polysem doctor`: is this machine and this folder fit for a run?"""

import argparse
import configparser
import fcntl
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from rich.console import Console
from rich.table import Table

from polysem.index.full_text import require_full_text
from polysem.io.disk import in_gigabytes
from polysem.io.errors import InputError
from polysem.layout.place import RESULTS
from polysem.params.study import load_study
from polysem.workflow import artifacts
from polysem.workflow.provenance import freshness, guard, installed, lock
from polysem.workflow.provenance.records import STATE

LITTLE_SPACE = 2e9
"""Bytes; less free space than this is a problem whatever the study."""


@dataclass(frozen=True)
class Check:
    """One line of the table. Only a `problem` makes the command fail."""

    name: str
    state: Literal["ok", "note", "problem"]
    found: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--configfile", type=Path, default=Path("params.yaml"), help="the params file to look at")


def command(options: argparse.Namespace) -> int:
    """Show what a run depends on, and what is wrong with it."""
    checks = [
        check_python(),
        check_git(),
        check_dvc(),
        check_records(options.configfile),
        check_polysem(),
        check_snakemake(),
        check_pins(),
        check_sqlite(),
        check_gpu(),
        check_space(),
        check_locks(),
        check_leftovers(),
    ]
    table = Table("check", "state", "found")
    for check in checks:
        table.add_row(check.name, check.state, check.found)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 1 if any(check.state == "problem" for check in checks) else 0


def check_python() -> Check:
    """Python 3.11 or newer."""
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", "ok" if sys.version_info >= (3, 11) else "problem", f"{found}; 3.11 or newer is needed")


def check_git() -> Check:
    """A dirty tree is allowed; `polysem adopt` and a clean history need a clean one."""
    done = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True)
    if done.returncode:
        return Check("git", "note", "no git repository here; DVC cannot version a run")
    changed = len(done.stdout.splitlines())
    return Check("git", "note" if changed else "ok", f"{changed} changed files" if changed else "clean")


def check_dvc() -> Check:
    """DVC is set up, and its cache makes neither read-only nor shared files."""
    parser = configparser.ConfigParser()
    if not parser.read([".dvc/config", ".dvc/config.local"]):
        return Check("DVC", "problem", "not initialised (.dvc/config is missing); run `dvc init`")
    links = parser.get("cache", "type", fallback="reflink,copy").strip("'\"")
    if set(re.split(r"[,\s]+", links)) & {"hardlink", "symlink"}:
        return Check("DVC", "problem", f"cache.type = {links}; links make outputs read-only, set it to reflink,copy")
    return Check("DVC", "ok", f"cache.type = {links}")


def check_records(params: Path) -> Check:
    """The params file is valid and every artifact that exists has a record of how it was made."""
    try:
        study = load_study(params)
        guard.require_records(artifacts.recorded(study))
        again = freshness.outdated(artifacts.recorded(study), artifacts.in_git(study), artifacts.PROVENANCE)
    except InputError as error:
        return Check("params and records", "problem", str(error))
    wanted = artifacts.recorded(study)
    made = sum(Path(path).exists() for path in wanted)
    if again:
        found = f"{len(again)} artifacts are not what was made ({again[0]}, …); the next run makes them again"
        return Check("params and records", "note", found)
    return Check("params and records", "ok", f"{made} of {len(wanted)} artifacts are there, each with its record")


def check_polysem() -> Check:
    """A study outside of the repository is made by the polysem that it names."""
    found = installed.installed()
    if not Path(installed.FILE).exists():
        return Check("polysem", "ok", str(found))
    try:
        problem = installed.disagreement()
    except InputError as error:
        problem = str(error)
    return Check("polysem", "problem" if problem else "ok", problem or f"{found}, as {installed.FILE} says")


def check_snakemake() -> Check:
    """Snakemake's records are internal to its version, so the pinned one is needed."""
    wanted = {pin.name: str(pin.specifier) for pin in _pins()}.get("snakemake", "==?")
    found = _installed("snakemake")
    return Check(
        "Snakemake", "ok" if wanted == f"=={found}" else "problem", f"{found or 'not installed'}; pinned is {wanted}"
    )


def check_pins() -> Check:
    """Versions that differ from `requirements.lock`, and packages that are missing."""
    pins = _pins()
    if not pins:
        return Check("pins", "note", "requirements.lock is missing or empty")
    others = []
    for pin in pins:
        found = _installed(pin.name)
        if not found:
            others.append(f"{pin.name} is not installed")
        elif not pin.specifier.contains(found, prereleases=True):
            others.append(f"{pin.name} {found} instead of {pin.specifier}")
    shown = "; ".join(others[:5]) + (f"; {len(others) - 5} more" if len(others) > 5 else "")
    return Check("pins", "note" if others else "ok", shown or f"all {len(pins)} packages as pinned")


def check_sqlite() -> Check:
    """The index of features needs full-text search, which not every SQLite has."""
    try:
        return Check("SQLite", "ok", f"{require_full_text()}, with full-text search")
    except InputError as error:
        return Check("SQLite", "problem", str(error))


def check_gpu() -> Check:
    """A GPU needs a build of torch that can use it; torch itself is not imported."""
    build = _installed("torch")
    if not build:
        return Check("GPU", "problem", "torch is not installed")
    if shutil.which("nvidia-smi") is None:
        return Check("GPU", "ok", f"none; torch {build} runs on the CPU")
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    if done.returncode:
        return Check("GPU", "problem", f"nvidia-smi fails: {(done.stderr or done.stdout).strip()}")
    name = done.stdout.splitlines()[0] if done.stdout else "nvidia-smi names none"
    if build.endswith("+cpu"):
        return Check("GPU", "problem", f"{name}, but torch {build} is a build for the CPU; install one with CUDA")
    return Check("GPU", "ok", f"{name}; torch {build}")


def check_space() -> Check:
    """Free space on the disk of `results/`."""
    results = Path(RESULTS)
    free = shutil.disk_usage(results if results.exists() else Path()).free
    return Check("disk", "ok" if free > LITTLE_SPACE else "problem", f"{in_gigabytes(free)} free")


def check_locks() -> Check:
    """Files of this folder can be locked, by which one run at a time is active."""
    folder = STATE if STATE.is_dir() else Path()
    try:
        lock.require_locks(folder)
    except InputError as error:
        return Check("locks", "problem", str(error))
    except OSError as error:
        return Check("locks", "note", f"no file can be made in {folder.absolute()} ({error.strerror})")
    return Check("locks", "ok", "files can be locked")


def check_leftovers() -> Check:
    """What a killed run left behind; the next run goes on with it or clears it by itself."""
    if _is_running(STATE / lock.LOCK):
        return Check("leftovers", "note", "a run is going on in this folder")
    partial = [path for path in Path(RESULTS).rglob("*.partial") if ".partial" not in "".join(path.parts[:-1])]
    locks = list((STATE / "locks").glob("*"))
    if not partial and not locks:
        return Check("leftovers", "ok", "none")
    return Check(
        "leftovers",
        "note",
        f"{len(partial)} partial files and {len(locks)} locks of a killed run; the next run clears or continues them",
    )


def _is_running(lock: Path) -> bool:
    if not lock.exists():
        return False
    with lock.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _installed(package: str) -> str:
    """The version of an installed package, or ''."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _pins() -> list[Requirement]:
    """The lines of `requirements.lock` that apply to this machine."""
    path = Path("requirements.lock")
    pins = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            pin = Requirement(line.partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        if pin.marker is None or pin.marker.evaluate():
            pins.append(pin)
    return pins
