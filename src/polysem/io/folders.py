"""Folders that are whole or absent, with a receipt beside them by whose content Snakemake knows them.

Snakemake checksums plain files, never folders: what follows from a folder takes its receipt as input.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polysem.io.atomic import before_placing, placed, write_json
from polysem.io.content import file_digest
from polysem.io.disk import names_what_the_disk_refused
from polysem.io.errors import InputError


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


@dataclass
class Renewal:
    """A folder whose files are made one by one, each from what its own digest is of."""

    folder: Path
    """Where new files are written; those that are kept lie there already."""
    kept: dict[str, dict[str, Any]]
    """What the receipt said of each artifact that stays as it is."""
    missing: list[str]
    """The artifacts that have to be made."""
    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, file: str | None, *beside: str, **said: Any) -> None:
        """Note an artifact that was made: the path of its file in the folder, None if there is none, those of others
        that were made with it, and what else the receipt says of it."""
        digest = {} if file is None else {"file": file, "sha256": file_digest(self.folder / file)}
        also = {"beside": {other: file_digest(self.folder / other) for other in beside}} if beside else {}
        self.made[name] = said | digest | also


@names_what_the_disk_refused
@contextmanager
def renewed_folder(
    path: Path, digests: Mapping[str, str], made_from: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Renewal]:
    """A folder of artifacts of which only those are made that are not there yet, by the digest of what each is made of.

    An artifact is kept, in bytes and date, if the receipt names this digest for it and its file is what was written
    then. The receipt holds `artifacts`: by name, `made_of` and what `Renewal.add` was told; and `made_from`, digests of
    files by name, for those who want to know whether these are still the ones. All others go. The order is
    that of `written_folder`; a rule marks folder and receipt as `update`, as Snakemake removes other outputs first.
    """
    partial, receipt = path.with_name(f"{path.name}.partial"), receipt_of(path)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    known = _artifacts(receipt)
    kept = {name: said for name in digests if (said := _unchanged(known, name, digests[name], path)) is not None}
    for said in kept.values():
        for file in files_of(said):
            _keep(path / file, partial / file)
    renewal = Renewal(partial, kept, [name for name in digests if name not in kept])
    try:
        yield renewal
        before_placing()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    receipt.unlink(missing_ok=True)
    if path.exists():
        shutil.rmtree(path)
    partial.rename(path)
    placed(path)
    said = kept | renewal.made
    _write_receipt(receipt, {name: {"made_of": digests[name]} | said[name] for name in digests}, made_from)


def _keep(file: Path, other: Path) -> None:
    """The same file in another folder, with its date."""
    other.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, other)
    except OSError:  # a file system without hard links
        shutil.copy2(file, other)


def receipt_of(folder: Path) -> Path:
    """`…/topk-x8` → `…/topk-x8.json`; names may have dots in them."""
    return folder.with_name(f"{folder.name}.json")


def renewed_receipt(path: Path) -> Path | None:
    """The receipt of a folder whose artifacts are made one by one (`renewed_folder`), by its own path or that of the
    folder; None for everything else. Who wants all of them made again removes it."""
    receipt = path if path.suffix == ".json" else receipt_of(path)
    try:
        found = json.loads(receipt.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return receipt if isinstance(found, dict) and "artifacts" in found else None


def from_tables(tables: Path) -> dict[str, str]:
    """What a receipt says in `made_from` of tables: the digest of their receipt; nothing if they have none."""
    receipt = receipt_of(tables)
    return {"tables": file_digest(receipt)} if receipt.is_file() else {}


def read_folder_receipt(folder: Path) -> dict[str, Any]:
    """The receipt of a folder; InputError if there is none."""
    path = receipt_of(folder)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the receipt {path} cannot be read ({error}); delete {folder} and run again") from error
    return content


def artifact_digest(receipt: Path, name: str) -> str:
    """The sha256 of an artifact, by the receipt that names it. InputError if there is none, or it names no such one."""
    try:
        digest: str = json.loads(receipt.read_text(encoding="utf-8"))["artifacts"][name]["sha256"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"the receipt {receipt} does not say what {name} is ({type(error).__name__}); delete it and run again"
        ) from error
    return digest


def artifact_digests(receipt: Path) -> dict[str, str]:
    """The sha256 of every artifact that a receipt names and that has a file. InputError if there is no such receipt."""
    try:
        known = json.loads(receipt.read_text(encoding="utf-8"))["artifacts"]
        return {name: said["sha256"] for name, said in known.items() if "file" in said}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"the receipt {receipt} does not say what there is ({type(error).__name__}); delete it and run again"
        ) from error


def damage(folder: Path, digests: Mapping[str, str]) -> str:
    """What is wrong with the files of a folder, by their digests, or ''."""
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if file_digest(file) != digest:
            return f"{name} is not what was written"
    return ""


@dataclass
class Files:
    """The files of one artifact that is made again."""

    said: dict[str, Any] = field(default_factory=dict)

    def add(self, path: Path, *beside: Path, **said: Any) -> None:
        """Note its file, others that were made with it, and what else the receipt says."""
        also = {"beside": {file.name: file_digest(file) for file in beside}} if beside else {}
        self.said = said | {"file": path.name, "sha256": file_digest(path)} | also


@contextmanager
def renewed_files(
    receipt: Path, name: str, digest: str, made_from: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Files | None]:
    """One artifact among others in a folder, with a receipt of its own: None if it is there and made of what the digest
    is of, else what takes note of its files. The receipt has the form that `renewed_folder` writes."""
    said = _unchanged(_artifacts(receipt), name, digest, receipt.parent)
    if said is not None:
        yield None
        before_placing()
        for file, sha256 in files_of(said).items():
            placed(receipt.with_name(file), sha256)
    else:
        receipt.unlink(missing_ok=True)
        made = Files()
        yield made
        said = made.said
    _write_receipt(receipt, {name: {"made_of": digest} | said}, made_from)


def _write_receipt(receipt: Path, artifacts: dict[str, dict[str, Any]], made_from: Mapping[str, str]) -> None:
    write_json(receipt, {"artifacts": artifacts} | ({"made_from": dict(made_from)} if made_from else {}))


def _artifacts(receipt: Path) -> dict[str, dict[str, Any]]:
    """What a receipt says of each artifact; nothing if it cannot be read, so that all are made again."""
    try:
        known: dict[str, dict[str, Any]] = json.loads(receipt.read_text(encoding="utf-8"))["artifacts"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return known


def _unchanged(known: dict[str, dict[str, Any]], name: str, digest: str, folder: Path) -> dict[str, Any] | None:
    """What is known of an artifact but `made_of`, if that is the digest and its files are what was written then."""
    try:
        said = dict(known[name])
        same = said.pop("made_of") == digest and not damage(folder, files_of(said))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return said if same else None


def files_of(said: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files of an artifact, by their paths in its folder, from what a receipt says of it; a figure that
    does not apply has none."""
    return ({said["file"]: said["sha256"]} if "file" in said else {}) | said.get("beside", {})
