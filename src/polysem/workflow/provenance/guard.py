"""Guards that run before the DAG is built (docs/design.md)."""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from polysem.io.disk import in_gigabytes
from polysem.io.errors import InputError
from polysem.workflow.provenance.records import STATE, record_name, record_names

ADOPTING = "POLYSEM_ADOPTING"
"""Set by `polysem adopt`, which writes the missing records and so must get past the guard."""


def adopting() -> bool:
    """Whether this call of Snakemake writes the records of artifacts that git and DVC vouch for."""
    return bool(os.environ.get(ADOPTING))


ADOPT = "; `polysem adopt` writes missing records where git and DVC vouch for what is there"
UNTRUSTWORTHY = {
    "touch": f"--touch would write records that nobody can trust, as dates mean nothing here{ADOPT}",
    "drop_metadata": f"--drop-metadata would leave results without records, or with those of an earlier run{ADOPT}",
    "cleanup_metadata": f"--cleanup-metadata would leave results without records{ADOPT}",
    "ignore_incomplete": "--ignore-incomplete would take what a killed run left, or a hand changed, for whole",
    "rerun_triggers": "--rerun-triggers would call results up to date that other code, params or files made",
    "allowed_rules": "--allowed-rules would make files from results that are not up to date",
}
"""Options of Snakemake with which what is old passes for fresh."""


def untrustworthy_option(arguments: list[str]) -> str:
    """Which of those options a call or its profile has, or '', as Snakemake's parser reads them.

    That is slow and done only where something may mean one. Snakemake itself knows of them only after
    the rules are read.
    """
    may_mean_one = r"--(to|dr|ig|ii|cleanup-m|cm|rerun-t|al|pr|workflow-p)|-\w*t"
    named = any(re.match(may_mean_one, argument) for argument in arguments)
    if not named and "SNAKEMAKE_PROFILE" not in os.environ:
        return ""
    from snakemake.cli import parse_args
    from snakemake.settings.enums import RerunTrigger

    with redirect_stderr(StringIO()):  # which profiles it reads, Snakemake has said before
        read = vars(parse_args(arguments)[1])
    if read["rerun_triggers"] >= RerunTrigger.all():
        read["rerun_triggers"] = None
    return next((option for option in UNTRUSTWORTHY if read[option]), "")


def require_own_records(option: str) -> None:
    """InputError for an option of `UNTRUSTWORTHY`."""
    if option and not adopting():
        raise InputError(f"{UNTRUSTWORTHY[option]}. Leave it out")


def require_records(artifacts: Iterable[str], state: Path = STATE) -> None:
    """InputError if an artifact exists of which Snakemake does not know how it was made.

    Snakemake keeps such a file without a word, whatever params.yaml says. Files that a killed run left behind are known
    as incomplete and are made anew.
    """
    if adopting():
        return
    known = record_names(state / "metadata") | record_names(state / "incomplete")
    unknown = [path for path in artifacts if record_name(path) not in known and Path(path).exists()]
    if unknown:
        raise InputError(
            f"results/ holds {len(unknown)} artifacts without records in {state}/metadata ({unknown[0]}, …), so "
            "nothing can tell whether they fit params.yaml. Run `dvc checkout` (or `dvc pull`) to get artifacts and "
            "records together, or `polysem adopt` if git and DVC vouch for what is there, or delete results/"
        )


def disk_is_full() -> str:
    """What to do about a full disk."""
    free = shutil.disk_usage(Path()).free
    return (
        f"the disk of {Path().absolute()} is full ({in_gigabytes(free)} free), so that steps could not be finished; "
        "free some space and run again: what is finished stays"
    )


def deleted(artifacts: Iterable[str], state: Path = STATE) -> list[str]:
    """Artifacts that were made once, by their records, and are gone.

    Snakemake does not miss an intermediate file as long as what follows from it is there, unless it is asked for.
    """
    known = record_names(state / "metadata")
    return [path for path in artifacts if record_name(path) in known and not Path(path).exists()]
