"""The folder of a fresh study: made beside its place, under a hidden name, and put there when it is whole."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from string import Template

from ruamel.yaml import YAML

from polysem.io.errors import InputError
from polysem.params.reference import schema_text
from polysem.workflow.fresh.params_file import SCHEMA
from polysem.workflow.fresh.pins import pinned
from polysem.workflow.home import HOME, SNAKEFILE
from polysem.workflow.provenance.installed import FILE, Installed, write_lock

FILES = Path(__file__).parent / "files"
AS_IN_THE_REPOSITORY = (".dvc/config", ".dvc/.gitignore", ".dvcignore", "labels/README.md")
IGNORED = "/local.mk\n"
SOURCES = ["Snakefile", "labels", FILE]
"""What the stage of DVC depends on, beside params."""


@contextmanager
def placed_when_whole(folder: Path) -> Iterator[Path]:
    """An empty folder, which becomes `folder` when the block ends without an error; else nothing is left.

    InputError if `folder` is a file, holds anything, or cannot be made.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100 (`..` goes, too)
    if target.exists() and not target.is_dir():
        raise InputError(f"{folder} is a file; name a folder that is not there, or an empty one")
    if target.is_dir() and (there := sorted(os.listdir(target))):  # noqa: PTH208 (names alone)
        raise InputError(f"{folder} is not empty ({there[0]}, …); name a folder that is not there, or an empty one")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} is no folder; make it first, or name another place")
    try:
        around = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"nothing can be made in {target.parent} ({error.strerror}); name another place") from None
    try:
        place = around / "study"
        place.mkdir()
        yield place
        if target.is_dir():  # somebody's working directory, perhaps, which has to stay that
            for made in place.iterdir():
                made.rename(target / made.name)
        else:
            place.rename(target)
    finally:
        shutil.rmtree(around, ignore_errors=True)


def write_study(place: Path, title: str, about: str, params: str) -> Installed:
    """Write all files of a study, whose params file is `params`, and commit them; which polysem makes it.

    InputError where git refuses, and of a polysem that was installed without its workflow.
    """
    if not SNAKEFILE.is_file():
        raise InputError(
            f"{SNAKEFILE} is missing, so this polysem was installed without its workflow; install it again, from its "
            "repository or from a wheel that was built of it"
        )
    for name in AS_IN_THE_REPOSITORY:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HOME / name, place / name)
    shutil.copytree(HOME / "profiles", place / "profiles", copy_function=shutil.copyfile)
    (place / ".gitignore").write_text(_text(HOME / ".gitignore") + IGNORED, encoding="utf-8")
    (place / "dvc.yaml").write_bytes(_stage())
    (place / "params.yaml").write_text(params, encoding="utf-8")
    for name in ("Snakefile", "Makefile"):
        shutil.copyfile(FILES / name, place / name)
    polysem = write_of_package(place)
    said = Template(_text(FILES / "README.md")).substitute(title=title, about=about, version=polysem.version)
    (place / "README.md").write_text(said, encoding="utf-8")
    (place / "local.mk").write_text(_local(Path(sys.executable).parent), encoding="utf-8")
    _commit(place, f"Begin the study {title}")
    return polysem


def write_of_package(place: Path) -> Installed:
    """Write what follows from the installed package: its digest, the versions of what it needs, and the schema of
    params files, which editors read."""
    (place / "requirements.lock").write_text(pinned(_text(HOME / "requirements.lock")), encoding="utf-8")
    (place / SCHEMA).write_text(schema_text(), encoding="utf-8")
    return write_lock(place)


def _stage() -> bytes:
    """`dvc.yaml` of the repository, with what the results of such a study depend on."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    stages = yaml.load(_text(HOME / "dvc.yaml"))
    stages["stages"]["workflow"]["deps"] = SOURCES
    written = BytesIO()
    yaml.dump(stages, written)
    return written.getvalue()


def _local(tools: Path) -> str:
    """The part of the Makefile that is of this machine alone."""
    spelled = str(tools).replace("$", "$$").replace("#", "\\#")
    return f"# Where `polysem new` was called; not in git.\nENVIRONMENT := {spelled}/\n"


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def require_git() -> None:
    """InputError where git is missing, or does not know in whose name it would commit."""
    if shutil.which("git") is None:
        raise InputError("git is not installed, and a study is kept in it; install git")
    if any(_git(Path(), "var", name).returncode for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")):
        raise InputError(
            "a study is kept in git, which does not know who you are; tell it with "
            "`git config --global user.name NAME` and `git config --global user.email ADDRESS`"
        )


def _commit(place: Path, message: str) -> None:
    for arguments in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", message),
    ):
        done = _git(place, *arguments)
        if done.returncode:
            why = " ".join((done.stderr or done.stdout).split())
            raise InputError(f"`git {arguments[0]}` refuses: {why}; nothing was made")


def _git(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What git does in a folder, and in no repository that a variable names."""
    inherited = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    return subprocess.run(["git", *arguments], cwd=place, env=environment, capture_output=True, text=True)
