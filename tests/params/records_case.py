"""Records of Snakemake as a finished job leaves them, as far as checks before a run read them."""

import json
from pathlib import Path

from polysem.workflow.provenance.records import FORMAT, record_file


def write_record(artifact: str, *params: str) -> None:
    """A record of an artifact, in the current folder, by the texts of its params."""
    content = {"record_format_version": FORMAT, "rule": "r", "input": [], "log": [], "shellcmd": "python -m m"}
    file = record_file(artifact)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content | {"params": [repr(text) for text in params]}), encoding="utf-8")


def made(artifact: str, text: str, *params: str) -> None:
    """An artifact with its record."""
    path = Path(artifact)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    write_record(artifact, *params)
