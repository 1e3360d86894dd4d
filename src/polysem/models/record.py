"""`model.json`: what a model folder holds, and the settings that the model is studied under."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.params.base import Section

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
RECORD = "model.json"
NATIVE = "TransformerLensNative"
"""What `architectures` of a config says of models that are trained in the DAG or converted to the same form."""


class Record(Section):
    """The content of `model.json`. Whatever reads a model reads this first."""

    format: Literal[1] = 1
    kind: Literal["language", "classifier"]
    settings: dict[str, Any]
    """Context length, packing, BOS policy, masked tokens and weight processing of a language model."""
    origin: dict[str, Any]
    """Source, and for imported models the repository and the commit."""
    files: dict[str, str]
    """sha256 of each file of the folder."""


def read_record(folder: Path) -> Record:
    """The record of a model folder; InputError if it is missing, malformed, or does not fit the files beside it."""
    path = folder / RECORD
    try:
        record = Record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise InputError(f"{path} is no record of a model ({error}); delete the folder and run again") from error
    for name, digest in record.files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise InputError(f"{folder / name} is not the file that {path} records; delete the folder and run again")
    return record
