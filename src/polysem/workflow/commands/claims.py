"""`polysem claims`: what a finished run found of published numbers, kept for the reports of other studies."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from polysem.io.errors import InputError
from polysem.params.study import load_study
from polysem.workflow.artifacts import CLAIMS, METRICS, RUNS_BEFORE
from polysem.workflow.commands.differences import changed_keys
from polysem.workflow.commands.status import require_made
from polysem.workflow.provenance.records import read_made


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--configfile", type=Path, default=Path("params.yaml"), help="the params file that the run was made with"
    )
    parser.add_argument(
        "--preset",
        type=Path,
        help="the preset that it is a copy of, such as one with the path of a local file; the keys that differ are "
        "recorded, too (default: the params file)",
    )
    parser.add_argument("--machine", default="", help="where the run was made, in words; this machine without it")


def command(options: argparse.Namespace) -> int:
    """Keep what a finished run found of published numbers in docs/results/, for the reports of other studies."""
    study, preset = load_study(options.configfile), options.preset or options.configfile
    changed = changed_keys(load_study(preset).values(), study.values())
    require_made(CLAIMS, options.configfile)

    from polysem.io.atomic import write_json
    from polysem.report.ledger import NOT_RUN, claims_in
    from polysem.report.results.record import this_machine
    from polysem.report.run_before import KEPT, RunBefore

    found = [claim for claim in claims_in(Path(CLAIMS)) if claim["verdict"] != NOT_RUN]
    if not found:
        raise InputError(f"{CLAIMS}: this run has none of the models that claims are about; nothing is to be kept")
    run = RunBefore(
        preset=preset.as_posix(),
        changed=tuple(changed),
        date=made_on(METRICS),
        machine=options.machine or this_machine(),
        claims=tuple({key: claim[key] for key in KEPT} for claim in found),
    )
    output = Path(RUNS_BEFORE, run.name, "claims.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    write_json(output, run.model_dump())
    print(f"written: {output}, claims: {len(found)}")
    return 0


def made_on(artifact: str) -> str:
    """The day on which a run made an artifact, in UTC."""
    made = read_made(artifact)
    if made is None or made.time is None:
        raise InputError(f"there is no record of when {artifact} was made; run snakemake first")
    return datetime.fromtimestamp(made.time, UTC).date().isoformat()
