"""What a job left: the digest of each of its outputs, kept with the records of Snakemake.

A seal is written by the step itself, when all outputs are in their place and before Snakemake writes its records. Both
know the command that was run, so a seal whose record was not written any more does not pass for that of an older one,
and the guard (`workflow.provenance.freshness`) sees what came from elsewhere since. It lies below the records, which
DVC keeps: after a checkout, artifacts, records and seals are of one run again.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from polysem.io.atomic import write_json
from polysem.io.content import file_digest, folder_dates, folder_digest
from polysem.io.errors import InputError

SEALS = Path(".snakemake/metadata/seals")
SUFFIX = ".log"
FORMAT = 2
"""Of a seal. In those before it, which name none, the digests of folders were of another kind."""


@dataclass(frozen=True)
class Output:
    """One output as it was left."""

    sha256: str
    """'' for a folder whose seal is of an older format: nothing is known of its content."""
    size: int
    """Bytes of a file; of a folder 0."""
    dates: str
    """`folder_dates` of a folder; '' for a file, whose date Snakemake sets afterwards and keeps in its record."""


@dataclass(frozen=True)
class Seal:
    """All outputs of one job, by path, and the digest of its command."""

    outputs: dict[str, Output]
    command: str
    written: float
    """When, in seconds since 1970: a job that failed has a record that is younger than its seal."""


def sealed(path: Path, digest: str = "") -> Output:
    """A file or folder as it is now; its `digest` is computed if it is not given."""
    if path.is_dir():
        return Output(digest or folder_digest(path), 0, folder_dates(path))
    return Output(digest or file_digest(path), path.stat().st_size, "")


def write_seal(log: str, command: str, outputs: Mapping[Path, str] | Iterable[Path], seals: Path = SEALS) -> None:
    """Seal those of the paths that are there. A job is known by its log, `logs/{rule}/{wildcards}.log`; `command`
    is the digest of the shell command that made them."""
    digests = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs, "")
    found = {path.as_posix(): asdict(sealed(path, digest)) for path, digest in digests.items() if path.exists()}
    said = {"format": FORMAT, "command": command, "written": time.time(), "outputs": dict(sorted(found.items()))}
    write_json(seal_file(log, seals), said)


def read_seal(log: str, seals: Path = SEALS) -> Seal | None:
    """The seal of a job, or None if there is none. InputError if it is damaged."""
    return seal_in(seal_file(log, seals))


def seal_in(file: Path) -> Seal | None:
    """The seal that a file holds, or None if there is no such file. InputError if it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        outputs = {path: Output(**each) for path, each in content["outputs"].items()}
        if content.get("format") != FORMAT:
            outputs = {path: replace(of, sha256="") if of.dates else of for path, of in outputs.items()}
        return Seal(
            outputs, content.get("command", ""), float(content.get("written", 0.0))
        )  # seals of older versions vouch for nothing
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged ({type(error).__name__}); delete it, and what it stands for is made again, or run "
            "`dvc checkout` to get artifacts and records together"
        ) from None


def seal_file(log: str, seals: Path = SEALS) -> Path:
    """Where the seal of a job lies."""
    return seals / f"{log.removeprefix('logs/').removesuffix(SUFFIX)}.json"
