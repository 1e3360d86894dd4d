"""Whether a step works with what its rule stated: its code, and the files from outside of the workflow."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from polysem.io.content import content_digest
from polysem.io.errors import InputError
from polysem.io.files import files_of
from polysem.params.addons import PACKAGE
from polysem.workflow.running import loaded
from polysem.workflow.running.code import SOURCE, code_digest, syntax_digests, text_syntax

AGAIN = "run again, and the job starts from what is there then"
OWN = "polysem:"
"""Begins the name of a file of this package: records name it in the same way wherever the package lies."""


def require_code(stated: str) -> str:
    """The digest of `0123456789abcdef:module,module`, once all that this process loaded of the package has it.

    InputError that names a module whose text was another when it was loaded; so does the import of such a module from
    now on. A module that the digest does not cover is refused, too: a change of it would go unnoticed.
    """
    digest, _, names = stated.partition(":")
    modules = names.split(",")
    if not names or code_digest(*modules) != digest:
        raise InputError(f"the code of {modules[0] or 'this step'} changed since the run began; {AGAIN}")
    expected = syntax_digests(*modules)

    def check(name: str, text: bytes) -> None:
        if name not in expected:
            raise InputError(f"{name} is used, but the digest of {modules[0]} does not cover it; name it in the rule")
        if text_syntax(name, text.decode("utf-8")) != expected[name]:
            raise InputError(f"{name} changed since the run began; {AGAIN}")

    for name, text in list(loaded.TEXTS.items()):
        check(name, text)
    loaded.WATCHERS.append(check)
    return digest


@dataclass(frozen=True)
class OutsideFiles:
    """Files from outside of the workflow, by paths and patterns, with the digest of their contents."""

    digest: str
    paths: list[str]

    @classmethod
    def of(cls, paths: Iterable[str]) -> "OutsideFiles":
        """Those files as they are now."""
        named = list(paths)
        return cls(content_digest(_files(named)), named)

    def require(self) -> dict[Path, tuple[int, ...]]:
        """The files, each with what no change leaves as it was. InputError if they have another digest."""
        found = _files(self.paths)
        stamps = {file: _stamp(file) for file in found}
        if content_digest(found) != self.digest:
            raise InputError(f"{self._named()} changed since the run began; {AGAIN}")
        return stamps

    def require_unchanged(self, stamps: dict[Path, tuple[int, ...]]) -> None:
        """InputError if a file was written since, even if its content is what it was: what was read of it in the
        meantime is not known."""
        for file, stamp in stamps.items():
            if not file.exists() or _stamp(file) != stamp:
                raise InputError(f"{file} changed while it was read; {AGAIN}")

    def _named(self) -> str:
        return self.paths[0] if len(self.paths) == 1 else f"one of {len(self.paths)} files ({self.paths[0]}, …)"


def own_file(path: str) -> str:
    """What `OutsideFiles` calls a file of this package, by its path in there: `report/page.css`."""
    return f"{OWN}{path}"


def _files(paths: Iterable[str]) -> list[Path]:
    return files_of(str(SOURCE / PACKAGE / path.removeprefix(OWN)) if path.startswith(OWN) else path for path in paths)


def _stamp(file: Path) -> tuple[int, ...]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
