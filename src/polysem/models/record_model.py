"""Step: write `model.json`, the record of a finished model folder."""

import json
from pathlib import Path
from typing import Any, Literal

from polysem.io.atomic import write_json
from polysem.io.content import file_digest
from polysem.models.processing import check_processing
from polysem.models.record import CONFIG, RECORD, TOKENIZER, WEIGHTS, Record
from polysem.params.models.language import Processing

ORIGIN = "origin.json"


def record_model(
    folder: Path, kind: Literal["language", "classifier"], settings: dict[str, Any], origin: dict[str, Any]
) -> None:
    """Record digests and settings of a model folder.

    It is a step of its own, so that another setting (say, folded LayerNorms) retrains no model.
    `origin.json`, which imported models bring, is added to `origin`. Raises InputError if the weights cannot be
    processed as the settings say.
    """
    if kind == "language":
        check_processing(folder, Processing.model_validate(settings["processing"]))
    if (folder / ORIGIN).is_file():
        origin = origin | json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    names = [name for name in (CONFIG, WEIGHTS, TOKENIZER, ORIGIN) if (folder / name).is_file()]
    files = {name: file_digest(folder / name) for name in names}
    write_json(folder / RECORD, Record(kind=kind, settings=settings, origin=origin, files=files).values())
