"""Which polysem makes the results of a study that takes its workflow from an installed package.

`polysem.lock` has its digest, and lies in git; `dvc.yaml` depends on it as that of the repository does on `src`. A run
with another package than the one that is named there does not begin, so what DVC says of the results is true.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from polysem.io.atomic import write_text
from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.params.addons import PACKAGE as NAME
from polysem.params.spelling import read_yaml
from polysem.workflow.home import CARRIED, HOME, PACKAGE, SNAKEFILE

FILE = "polysem.lock"
TAKE = "`polysem lock` takes the one that is installed"
HEAD = f"# Which polysem makes the results of this study. A run with another one does not begin; {TAKE}.\n"
DIGITS = 16


@dataclass(frozen=True)
class Installed:
    """A polysem, by all that can change a result."""

    version: str
    digest: str
    """Over the files of the package and of the workflow, whatever their dates; byte code does not count."""

    def __str__(self) -> str:
        return f"{self.version} ({self.digest})"


def installed() -> Installed:
    """The polysem that this process has imported."""
    digest = hashlib.sha256()
    for name, file in sorted(_files()):
        digest.update(f"{name}\0{file_digest(file)}\0".encode())
    try:
        known = version(NAME)
    except PackageNotFoundError:  # sources on the path, as in a container
        known = "not installed"
    return Installed(known, digest.hexdigest()[:DIGITS])


def _files() -> Iterator[tuple[str, Path]]:
    """The same names whether the package carries the workflow or a repository has it."""
    yield "Snakefile", SNAKEFILE
    yield from _below("workflow", HOME / "workflow")
    yield from ((name, file) for name, file in _below(NAME, PACKAGE) if not file.is_relative_to(CARRIED))


def _below(top: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob("*"):
        place = file.relative_to(folder)
        is_hidden = any(part.startswith(".") or part == "__pycache__" for part in place.parts)
        if file.is_file() and file.suffix != ".pyc" and not is_hidden:
            yield f"{top}/{place.as_posix()}", file


def write_lock(folder: Path = Path()) -> Installed:
    """Write down the installed package as the one that makes the results of the study in a folder."""
    found = installed()
    write_text(folder / FILE, f'{HEAD}version: "{found.version}"\ndigest: "{found.digest}"\n')
    return found


def read_lock(folder: Path = Path()) -> Installed:
    """The polysem that makes the results of a study. InputError if its file is missing, or is none."""
    path, remedy = folder / FILE, f"get it back with `git checkout {FILE}`; {TAKE}"
    said = read_yaml(path, remedy).plain()
    if not isinstance(said, dict) or said.keys() != {"version", "digest"}:
        raise InputError(f"{path}: expected the keys version and digest; {remedy}")
    return Installed(str(said["version"]), str(said["digest"]))


def check(shows_only: Callable[[], bool]) -> None:
    """InputError for a run with another package than the study's own. A call that only shows something, which is asked
    for where they differ, is told on standard error."""
    if problem := disagreement():
        if not shows_only():
            raise InputError(problem)
        print(f"note: {problem}", file=sys.stderr)


def disagreement() -> str:
    """What to do where the study in this folder is that of another package than the installed one, or ''."""
    wanted, found = read_lock(), installed()
    if wanted == found:
        return ""
    return (
        f"{FILE} says that polysem {wanted} makes these results, and {found} is in {sys.prefix}; run with that one, "
        "or take this one with `polysem lock`: what it makes in another way is then made again"
    )
