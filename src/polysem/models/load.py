"""Loading a model folder, whatever made it."""

from importlib import import_module
from pathlib import Path

from polysem.io.errors import InputError
from polysem.models.record import read_record
from polysem.models.subject import Subject


def load_subject(folder: Path, device: str = "cpu") -> Subject:
    """The model of a folder (`results/models/{model}`) as a Subject on a device.

    Raises InputError if `model.json` is missing or the files do not have the digests that it names.
    """
    record = read_record(folder)
    kinds = {"language": "polysem.models.language", "classifier": "polysem.models.classifier"}
    if record.kind not in kinds:
        raise InputError(f"{folder}/model.json names kind {record.kind!r}; known are {', '.join(sorted(kinds))}")
    return import_module(kinds[record.kind]).load(folder, record, device)
