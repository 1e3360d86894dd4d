"""Folders that are whole or absent, with a receipt beside them by whose content Snakemake knows them.

Snakemake checksums plain files, never folders: what follows from a folder takes its receipt as input.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polysem.io.atomic import before_placing, placed, write_json
from polysem.io.content import file_digest
from polysem.io.disk import names_what_the_disk_refused
from polysem.io.errors import InputError

TABLES_RECEIPT = "survey.json"
"""The receipt of the tables of a dictionary, which lies among them: the digest of the file of each."""


@names_what_the_disk_refused
@contextmanager
def written_folder(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder to fill, and what its receipt shall hold; both are in place when the block ends without an error.

    The order is: remove the receipt and what is there, write to `….partial`, rename, write the receipt. Whoever finds
    a receipt finds the whole folder.
    """
    partial, receipt = path.with_name(f"{path.name}.partial"), receipt_of(path)
    receipt.unlink(missing_ok=True)
    for stale in (partial, path):
        if stale.exists():
            shutil.rmtree(stale)
    partial.mkdir(parents=True)
    content: dict[str, Any] = {}
    try:
        yield partial, content
        before_placing()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(path)
    placed(path)
    write_json(receipt, content)


def receipt_of(folder: Path) -> Path:
    """`…/topk-x8` → `…/topk-x8.json`; names may have dots in them."""
    return folder.with_name(f"{folder.name}.json")


def read_folder_receipt(folder: Path) -> dict[str, Any]:
    """The receipt of a folder; InputError if there is none."""
    path = receipt_of(folder)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the receipt {path} cannot be read ({error}); delete {folder} and run again") from error
    return content


def damage(folder: Path, digests: Mapping[str, str]) -> str:
    """What is wrong with the files of a folder, by their digests, or ''."""
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if file_digest(file) != digest:
            return f"{name} is not what was written"
    return ""
