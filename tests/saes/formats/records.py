"""Records and seals of files as Snakemake and a step leave them, for folders in which neither ran."""

import json
from collections.abc import Iterable
from pathlib import Path

from polysem.io.content import file_digest, text_digest
from polysem.workflow.provenance.records import FORMAT, record_file
from polysem.workflow.running.seals import write_seal


def left_by(rule: str, outputs: Iterable[Path], inputs: Iterable[Path] = (), **values: object) -> None:
    """Have the outputs made by a job of a rule, which read the inputs as they are now and these values."""
    log, command, files = f"logs/{rule}.log", f"python -m {rule}", list(map(str, inputs))
    for output in outputs:
        record = record_file(str(output))
        record.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "record_format_version": FORMAT, "rule": rule, "shellcmd": command, "log": [log],
            "params": [repr(json.dumps(values))], "input": files, "endtime": output.stat().st_mtime, "starttime": 0.0,
            "input_checksums": {file: f"sha256:{file_digest(Path(file))}" for file in files},
        }  # fmt: skip
        record.write_text(json.dumps(content))
    write_seal(log, text_digest(command), outputs)
