"""The step that reads, from Snakemake's records, how figures were made; the report shows it beside them."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from polysem.io.atomic import write_json
from polysem.io.errors import InputError
from polysem.io.folders import renewed_receipt
from polysem.layout.place import Place
from polysem.workflow.artifacts import made_for
from polysem.workflow.provenance.records import Record, chain, read_record
from polysem.workflow.tables import told

ALIKE = 3
"""Files of one name in folders side by side, as all tables of a grid are, that are named one by one at most."""


def collect_provenance(output: Path, places: list[Place]) -> None:
    """Write the jobs behind the figures of dictionaries, sites and models, as their records tell.

    The file holds `jobs`, by what all outputs of one have in common: `rule`, `module`, `code` (digest), `inputs`,
    `params`, `target` (an output, which Snakemake makes again when asked to), `keeps` (whether the job keeps what its
    receipt, the target, shows to be right) and `command` (digest of the shell
    command, by which the guard of freshness tells that a job ran in another way since); and `behind`: for each place,
    `model/site/dictionary`, `model/site` or `model`, the jobs that ran for it alone and those that extracted its
    activations, the last one first.

    Raises InputError for figures of which there is no record.
    """
    jobs: dict[str, dict[str, Any]] = {}
    behind: dict[str, list[str]] = {}
    for place in places:
        drawing = read_record(place.figures.receipt)
        if drawing is None:
            raise InputError(
                f"Snakemake has no record of how {place.figures.receipt} was made; run `polysem doctor`, which says "
                "what to do"
            )
        found = [job[0] for job in chain(drawing, partial(_followed, set(made_for(place))))]
        behind[place.path] = [record.job for record in found]
        jobs |= {record.job: _said(record) for record in found if record.job not in jobs}
    write_json(output, {"jobs": dict(sorted(jobs.items())), "behind": behind})


def _followed(ours: set[str], record: Record) -> list[str]:
    return [path for path in record.inputs if path in ours]


def _said(record: Record) -> dict[str, Any]:
    return {
        "rule": record.rule,
        "module": record.module,
        "code": record.code,
        "inputs": list(shortened(record.inputs)),
        "params": told(record.params),
        "target": record.artifact,
        "keeps": renewed_receipt(Path(record.artifact)) is not None,
        "command": record.command,
    }


def shortened(paths: tuple[str, ...]) -> Iterator[str]:
    """The paths; where many are alike but for the last folder, once, with a star in its place."""
    alike: dict[PurePath, list[str]] = {}
    for path in paths:
        alike.setdefault(PurePath(path).parent.with_name("*") / PurePath(path).name, []).append(path)
    for pattern, found in alike.items():
        yield from [pattern.as_posix()] if len(found) > ALIKE else found
