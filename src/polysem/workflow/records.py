"""What Snakemake wrote down of every artifact: rule, inputs and parameters. The format is internal to Snakemake and
pinned with it; this is the only place that reads it."""

import ast
import json
import os
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.errors import InputError

STATE = Path(".snakemake")
FORMAT = 6
"""`record_format_version` of the pinned Snakemake."""
LONGEST = 255
"""Bytes of a file name; longer names are cut up into folders."""
DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Record:
    """How one artifact was made."""

    artifact: str
    rule: str
    module: str
    """The step, as `python -m` runs it; '' if the rule runs none."""
    inputs: tuple[str, ...]
    params: dict[str, Any]
    """The values that the step read, by name."""
    digests: tuple[str, ...]
    """Of the step's code, and of files from outside of the workflow."""
    log: str


def read_record(artifact: str, state: Path = STATE) -> Record | None:
    """The record of an artifact, or None if Snakemake did not make it.

    Raises InputError for a record of another format, which another version of Snakemake wrote.
    """
    path = _path(state / "metadata", artifact)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"the record of {artifact} ({path}) is damaged; make it again") from error
    if content.get("record_format_version") != FORMAT:
        raise InputError(
            f"the record of {artifact} has format {content.get('record_format_version')}, expected {FORMAT}; another "
            "version of Snakemake wrote it. `polysem doctor` names the one that is pinned"
        )
    step = re.search(r"python -m ([\w.]+)", content["shellcmd"] or "")
    params, digests = _params([ast.literal_eval(text) for text in content["params"]])
    return Record(
        artifact=artifact,
        rule=content["rule"],
        module=step[1] if step else "",
        inputs=tuple(content["input"]),
        params=params,
        digests=digests,
        log=next(iter(content["log"]), ""),
    )


def record_name(artifact: str) -> str:
    """The name of an artifact's record."""
    return urlsafe_b64encode(artifact.encode()).decode()


def record_names(folder: Path) -> set[str]:
    """Names of all records in a folder of Snakemake's. It cuts long ones up into folders `@…/@…/…`."""
    return {
        "".join([*Path(base).relative_to(folder).parts, file]).replace("@", "")
        for base, _, files in os.walk(folder)
        for file in files
    }


def _path(folder: Path, artifact: str) -> Path:
    name, step = record_name(artifact), LONGEST - 1
    parts = [name[start : start + step] for start in range(0, len(name), step)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _params(values: list[Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Snakemake keeps params as a set without names; values that a step reads are one JSON text among them, or the path
    of one (which is not kept with the records, and may be gone)."""
    texts = [value for value in values if isinstance(value, str)]
    params: dict[str, Any] = {}
    for text in texts:
        if text.startswith("{"):
            params |= json.loads(text)
        elif text.startswith(".cache/specs/"):
            kept = Path(text).is_file()
            params |= json.loads(Path(text).read_text(encoding="utf-8")) if kept else {"values": f"{text} (gone)"}
    return params, tuple(text for text in texts if DIGEST.fullmatch(text))
