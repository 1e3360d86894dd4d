"""What Snakemake wrote down of every artifact: rule, inputs and parameters. The format is internal to Snakemake and
pinned with it; this is the only place that reads it."""

import ast
import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.content import text_digest
from polysem.io.errors import InputError
from polysem.workflow.running.specs import KEPT, SPECS, kept_spec
from polysem.workflow.running.steps import STEPS

STATE = Path(".snakemake")
FORMAT = 6
"""`record_format_version` of the pinned Snakemake."""
LONGEST = 255
"""Bytes of a file name; longer names are cut up into folders."""
SEALS = "seals"
"""A folder among the records that is not Snakemake's (`polysem.workflow.running.seals`), as is that of specs."""
DIGEST = re.compile(r"([0-9a-f]{16})(:[\w.,]+)?")
"""Of code it is followed by the modules that it is of."""
MARK = "made_again_by"
"""A key of those marks of incomplete artifacts that are ours."""


@dataclass(frozen=True)
class Record:
    """How one artifact was made."""

    artifact: str
    rule: str
    module: str
    """Of the step; '' if the rule runs none."""
    inputs: tuple[str, ...]
    params: dict[str, Any]
    """The values that the step read, by name."""
    digests: tuple[str, ...]
    """Of the step's code, and of files from outside of the workflow."""
    code: str
    """Of the step's code alone; '' if the rule runs none."""
    command: str
    """Digest of the shell command."""
    log: str

    @property
    def job(self) -> str:
        """What all outputs of one job have in common."""
        return self.log or self.artifact


@dataclass(frozen=True)
class Made:
    """When an artifact was made, and from what."""

    log: str
    """By which its job is known."""
    command: str
    """Digest of the shell command of its job."""
    time: float | None
    """The date of the artifact when its record was written; None if its date says nothing."""
    started: float | None
    """When the job of the record began."""
    inputs: dict[str, str]
    """sha256 of the plain files that the job read."""


def read_record(artifact: str, state: Path = STATE) -> Record | None:
    """The record of an artifact, or None if Snakemake did not make it.

    Raises InputError for a record of another format, which another version of Snakemake wrote.
    """
    content = _content(artifact, state)
    if content is None:
        return None
    step = re.search(r"polysem step (\w+)", content["shellcmd"] or "")
    values = [ast.literal_eval(text) for text in content["params"]]
    params, digests = _params(values, state)
    codes = [found[1] for text in values if isinstance(text, str) and (found := DIGEST.fullmatch(text)) and found[2]]
    return Record(
        artifact=artifact,
        rule=content["rule"],
        module=STEPS.get(step[1], "") if step else "",
        inputs=tuple(content["input"]),
        params=params,
        digests=digests,
        code=next(iter(codes), ""),
        command=text_digest(content["shellcmd"] or ""),
        log=next(iter(content["log"]), ""),
    )


def chain(last: Record, follows: Callable[[Record], Iterable[str]]) -> list[list[Record]]:
    """A job and those behind it, each as the records of those of its outputs that the chain needs, and before all that
    it was made from; `follows` says which inputs of a job are followed to the jobs that made them."""
    jobs: dict[str, list[Record]] = {}
    users: dict[str, set[str]] = {}
    seen: set[str] = set()

    def visit(record: Record, user: str) -> None:
        users.setdefault(record.job, set()).update({user} - {record.job})
        if record.artifact in seen:
            return
        seen.add(record.artifact)
        jobs.setdefault(record.job, []).append(record)
        for path in follows(record):
            if made := read_record(path):
                visit(made, record.job)

    visit(last, "")
    ordered: list[str] = []
    while len(ordered) < len(jobs):
        ordered.append(next(job for job in jobs if job not in ordered and users[job] <= {"", *ordered}))
    return [jobs[job] for job in ordered]


def read_made(artifact: str, state: Path = STATE) -> Made | None:
    """The part of a record that says whether its artifact is still what was made; None if there is no record.

    Raises InputError as `read_record` does.
    """
    content = _content(artifact, state)
    if content is None:
        return None
    checksums = {path: digest.removeprefix("sha256:") for path, digest in (content["input_checksums"] or {}).items()}
    command = text_digest(content["shellcmd"] or "")
    log = next(iter(content["log"] or []), "")
    return Made(log, command, content["endtime"], content["starttime"], checksums)


def _content(artifact: str, state: Path) -> dict[str, Any] | None:
    path = record_file(artifact, state)
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        version = content["record_format_version"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the record of {artifact} ({path}) is damaged, so nothing can tell whether it fits params.yaml. Delete "
            "both and run again, and it is made again, or run `dvc checkout` to get artifacts and records together"
        ) from error
    if version != FORMAT:
        raise InputError(
            f"the record of {artifact} has format {version}, expected {FORMAT}; another "
            "version of Snakemake wrote it. `polysem doctor` names the one that is pinned"
        )
    return content


def marked_artifacts(state: Path = STATE) -> tuple[set[str], set[str]]:
    """Names of the artifacts that a job left unfinished, and of those that are marked to be made again."""
    unfinished: set[str] = set()
    ours: set[str] = set()
    for name in record_names(state / "incomplete"):
        try:
            marked = MARK in json.loads(_place(state / "incomplete", name).read_bytes())
        except (OSError, ValueError, TypeError):
            marked = False
        (ours if marked else unfinished).add(name)
    return unfinished, ours


def mark_again(artifact: str, state: Path = STATE) -> None:
    """Have Snakemake make an artifact again: it counts as incomplete, as that of a killed job does."""
    path = _place(state / "incomplete", record_name(artifact))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"external_jobid": None, MARK: "polysem"}), encoding="utf-8")


def unmark(name: str, state: Path = STATE) -> None:
    """Take such a mark back, by the name of the artifact's record."""
    _place(state / "incomplete", name).unlink(missing_ok=True)


def record_file(artifact: str, state: Path = STATE) -> Path:
    """Where Snakemake keeps the record of an artifact."""
    return _place(state / "metadata", record_name(artifact))


def record_name(artifact: str) -> str:
    """The name of an artifact's record."""
    return urlsafe_b64encode(artifact.encode()).decode()


def record_names(folder: Path) -> set[str]:
    """Names of all records in a folder of Snakemake's. It cuts long ones up into folders `@…/@…/…`."""
    names = set()
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (SEALS, KEPT)]
        above = "".join(Path(base).relative_to(folder).parts)
        names |= {f"{above}{file}".replace("@", "") for file in files}
    return names


def _place(folder: Path, name: str) -> Path:
    step = LONGEST - 1
    parts = [name[start : start + step] for start in range(0, len(name), step)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _params(values: list[Any], state: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Snakemake keeps params as a set without names; values that a step reads are one JSON text among them, or the path
    of one."""
    params: dict[str, Any] = {}
    digests = []
    for text in (value for value in values if isinstance(value, str)):
        if Path(text).parent == SPECS:
            kept = kept_spec(text, state / "metadata")
            given = json.loads(kept.read_text(encoding="utf-8")) if kept else {"values": f"{text} (gone)"}
        else:
            given = json.loads(text) if text.startswith("{") else {}
        if found := DIGEST.fullmatch(text):
            digests.append(found[1])
        elif given.keys() == {"digest", "paths"}:  # files from outside
            digests.append(given["digest"])
        else:
            params |= given
    return params, tuple(digests)
