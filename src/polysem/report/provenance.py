"""How figures came to be: the jobs behind them, as the step `collect_provenance` read them from Snakemake's records."""

import json
import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from polysem.io.errors import InputError


class Making(BaseModel):
    """One job behind a figure."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    rule: str
    module: str
    """Of the step."""
    code: str
    """Digest of the step's code."""
    inputs: list[str]
    params: dict[str, Any]
    target: str
    """A file of its, which Snakemake makes again when asked to."""
    keeps: bool
    """Whether the job keeps what its receipt, the target, shows to be right: without that it makes all again."""

    @property
    def command(self) -> str:
        """What to type to do this job again."""
        target = shlex.quote(self.target)
        return (
            f"rm {target}; snakemake --cores all {target}" if self.keeps else f"snakemake --cores all --force {target}"
        )


def read_makings(path: Path) -> dict[str, list[Making]]:
    """The jobs behind the figures of each place, by its path, the last one first. InputError for a file that the step
    did not write."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        jobs = {name: Making.model_validate(job) for name, job in said["jobs"].items()}
        return {place: [jobs[name] for name in names] for place, names in said["behind"].items()}
    except (OSError, ValueError, ValidationError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}); delete it and run again") from error
