"""Receipts of stores, for the page's section on provenance."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polysem.io.json_files import read_object

DIGEST = re.compile(r"[0-9a-f]{16,}")
SHORT = 12


@dataclass(frozen=True)
class Receipt:
    """What made a store: the columns of a table, and the whole of it as text."""

    path: str
    digest: str
    code: str
    device: str
    versions: str
    text: str


def read_receipt_file(path: Path) -> Receipt:
    """A receipt with its digests shortened; what it does not say is empty. InputError if it is no JSON object."""
    content = read_object(path, f"the receipt {path}")
    text = json.dumps(content, indent=2, ensure_ascii=False)
    digest, code, device, versions = (_in_a_line(content.get(key)) for key in ("sha256", "code", "device", "versions"))
    return Receipt(path.as_posix(), digest, code, device, versions, text)


def _in_a_line(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_a_line(item)}" for key, item in value.items())
    text = str(value)
    return text[:SHORT] if DIGEST.fullmatch(text) else text
