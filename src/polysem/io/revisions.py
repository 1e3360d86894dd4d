"""A revision of a repository: what git has of it, and what lies in DVC's cache. Nothing here changes either."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from polysem.io.errors import InputError

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Cached:
    """The files of an output of DVC at a revision."""

    files: dict[str, Path | None]
    """By their paths below the output: the file in the cache, or None for one that is not there."""
    note: str = ""
    """What is not at hand and how to get it, as a sentence; empty if everything is."""


@dataclass(frozen=True)
class Revision:
    """A commit that a repository knows under a name."""

    name: str
    commit: str
    repository: Path

    @classmethod
    def find(cls, name: str, repository: Path = Path()) -> "Revision | None":
        """The revision of that name; None if git knows none in this folder, or the folder is in no repository."""
        found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return cls(name, found.strip(), repository) if found else None

    def text(self, path: str) -> str | None:
        """What git has of a file, by its path from the folder of the workflow; None if it has none."""
        return _git(self.repository, "show", f"{self.commit}:./{path}")

    def names(self, folder: str) -> list[str]:
        """The files that git has in a folder, by their paths from the folder of the workflow; none without it."""
        listed = _git(self.repository, "ls-tree", "-z", "--name-only", self.commit, f"./{folder}/")
        return sorted(name for name in (listed or "").split("\0") if name)

    def cached(self, output: str) -> Cached:
        """The files of a folder that DVC keeps, `results/figures`, as they lie in its cache. InputError for a broken
        lock file or listing."""
        if output not in self._outputs:
            return Cached({}, f"{self.name} has no {output} in {LOCK}; `dvc commit` puts it there after a run.")
        remedy = f"`dvc fetch --all-commits {output}` gets them from the remote, if they were pushed."
        listing = self._in_cache(self._outputs[output])
        if not listing.is_file():
            return Cached({}, f"The files of {output} of {self.name} are not in the cache of DVC here; {remedy}")
        files = {name: self._in_cache(digest) for name, digest in _listed(listing).items()}
        found = {name: path if path.is_file() else None for name, path in files.items()}
        if gone := [name for name, path in found.items() if path is None]:
            number = f"{len(gone)} files of {output} of {self.name}"
            return Cached(found, f"{number} are not in the cache of DVC here ({gone[0]}, …); {remedy}")
        return Cached(found)

    @cached_property
    def _outputs(self) -> dict[str, str]:
        """Digests of the outputs of all stages of the `dvc.lock`."""
        text = self.text(LOCK)
        if text is None:
            return {}
        try:
            stages = YAML(typ="safe").load(text).get("stages", {})
            return {
                out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out
            }
        except (YAMLError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.name}:{LOCK} is no lock file of DVC ({type(error).__name__}); `dvc commit` writes one"
            ) from error

    @cached_property
    def _cache(self) -> Path:
        return Path(_output(self.repository, sys.executable, "-m", "dvc", "cache", "dir").strip()) / "files/md5"

    def _in_cache(self, digest: str) -> Path:
        return self._cache / digest[:2] / digest[2:]


def _listed(listing: Path) -> dict[str, str]:
    """Digests of the files of a folder, as DVC's cache lists them."""
    try:
        return {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_bytes())}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"{listing} is no listing of DVC's cache ({type(error).__name__}); remove it and run `dvc fetch`"
        ) from error


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints in a folder, or None if it fails."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, errors="replace")
    return done.stdout if done.returncode == 0 else None


def _output(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"`{' '.join(command)}` fails: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
