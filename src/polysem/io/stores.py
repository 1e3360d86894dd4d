"""Zarr stores that are whole or absent, and their receipts (docs/design.md)."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import zarr

from polysem.io.atomic import before_placing, placed, write_json
from polysem.io.content import folder_digest
from polysem.io.disk import names_what_the_disk_refused
from polysem.io.errors import InputError

RECEIPT_FORMAT = 1
ROWS_PER_CHUNK = 1024
"""Chunks are this long along their first dimension: aligned writes and whole-chunk reads run at memory speed."""


@names_what_the_disk_refused
@contextmanager
def written_store(
    path: Path,
    *,
    attributes: Mapping[str, Any],
    params: Mapping[str, Any],
    code: str,
    device: str,
    precision: Mapping[str, str] = MappingProxyType({}),
    libraries: tuple[str, ...] = ("numpy", "zarr"),
) -> Iterator[zarr.Group]:
    """A group to fill; it becomes the store `path`, with its receipt beside it, when the block ends without an error.

    `precision` is what the receipt says beside `device` where that is no CPU (`numerics.devices`).

    The order is: write to `….zarr.partial`, consolidate, hash, rename, write the receipt. Whoever finds a receipt finds
    a whole store. The receipt holds nothing volatile: the same work gives the same receipt.
    """
    partial = path.with_name(f"{path.name}.partial")
    remove_store(path)
    if partial.exists():
        shutil.rmtree(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    group = zarr.open_group(partial, mode="w", zarr_format=3, attributes=dict(attributes))
    try:
        yield group
        before_placing()
    except BaseException:
        # Zarr writes chunks side by side; asyncio would print a traceback of each that failed beside the first.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    with warnings.catch_warnings():  # consolidation is an extension of Zarr v3 that is welcome here
        warnings.simplefilter("ignore", category=zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(partial)
    digest = hash_store(partial)
    arrays = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in sorted(group.arrays())}
    partial.rename(path)
    placed(path, digest)
    write_json(
        receipt_path(path),
        {
            "format": RECEIPT_FORMAT,
            "store": path.name,
            "arrays": arrays,
            "sha256": digest,
            "params": dict(params),
            "code": code,
            "versions": {library: version(library) for library in libraries},
            "device": device,
            **precision,
        },
    )


def create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    dimensions: tuple[str, ...],
    *,
    compressed: bool,
    attributes: Mapping[str, Any] | None = None,
) -> zarr.Array:
    """An array of chunks of `ROWS_PER_CHUNK` rows; uncompressed ones can be read by mapping their chunk files."""
    chunks = (ROWS_PER_CHUNK, *shape[1:])
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        dimension_names=dimensions,
        compressors="auto" if compressed else None,
        attributes=dict(attributes or {}),
        config={"write_empty_chunks": True},
    )


def remove_store(path: Path) -> None:
    """Remove a store, if there is one, its receipt first."""
    receipt_path(path).unlink(missing_ok=True)
    if path.exists():
        shutil.rmtree(path)


def receipt_path(store: Path) -> Path:
    """`train.zarr` → `train.json`."""
    return store.with_suffix(".json")


def read_receipt(store: Path) -> dict[str, Any]:
    """The receipt of a store; InputError if it is missing or of another format."""
    path = receipt_path(store)
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete {store} and run again") from error
    if receipt.get("format") != RECEIPT_FORMAT:
        raise InputError(
            f"{path} has format {receipt.get('format')!r}, expected {RECEIPT_FORMAT}; delete it and run again"
        )
    return receipt


def open_store(path: Path) -> zarr.Group:
    """A store for reading; InputError if it is missing."""
    try:
        return zarr.open_group(path, mode="r", use_consolidated=True)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path} is no readable store ({error}); delete it and its receipt and run again") from error


def read_array(group: zarr.Group, name: str) -> zarr.Array:
    """An array of a store; InputError if the store has none of this name."""
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise InputError(f"{group.store_path} has no array {name!r}; delete it and its receipt and run again")
    return array


def hash_store(path: Path) -> str:
    """sha256 over the relative names and contents of all files of a store, in the order of the names."""
    return folder_digest(path)
