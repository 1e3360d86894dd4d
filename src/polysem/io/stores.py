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

import numpy as np
import zarr

from polysem.io.atomic import before_placing, placed, write_json
from polysem.io.begun import Begun
from polysem.io.content import file_digests, tree_digest
from polysem.io.disk import names_what_the_disk_refused
from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK, Layout, rows_per_shard

RECEIPT_FORMAT = 2
NAMED = 3
"""Damaged files that are named at most."""
DIGESTS = "digests.json"
"""The file of a store that names the digests of all others, the leaves of the tree whose root the receipt has."""


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
    begun: Begun | None = None,
) -> Iterator[zarr.Group]:
    """A group to fill; it becomes the store `path`, with its receipt beside it, when the block ends without an error.

    `precision` is what the receipt says beside `device` where that is no CPU (`numerics.devices`).

    The order is: write to `….zarr.partial`, consolidate, hash, rename, write the receipt. Whoever finds a receipt finds
    a whole store. The receipt holds nothing volatile: the same work gives the same receipt. An error leaves nothing;
    with `begun`, what is in `….zarr.partial` stays at the beginning, and whole shards stay where a signal or the disk
    ended the block, for the next one (`io.begun`).
    """
    partial = partial_of(path)
    remove_store(path)
    if partial.exists() and begun is None:
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(partial, zarr_format=3, attributes=dict(attributes))
    try:
        yield group
        before_placing()
    except BaseException as error:
        # Zarr writes chunks side by side; asyncio would print a traceback of each that failed beside the first.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        if begun is None or not begun.outlives(error):
            shutil.rmtree(partial, ignore_errors=True)
        raise
    with warnings.catch_warnings():  # consolidation extends Zarr v3, and notes are no part of it
        warnings.simplefilter("ignore", category=zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(partial)
        arrays = {name: {"shape": list(of.shape), "dtype": str(of.dtype)} for name, of in sorted(group.arrays())}
    leaves = file_digests(partial, {} if begun is None else begun.digests)
    (partial / DIGESTS).write_text(json.dumps(leaves, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    digest = tree_digest(file_digests(partial, leaves))
    if begun is not None:
        begun.forget()
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


def partial_of(path: Path) -> Path:
    """Where a store is written until it is whole: `train.zarr.partial`."""
    return path.with_name(f"{path.name}.partial")


def create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    dimensions: tuple[str, ...],
    *,
    compressed: bool,
    shard_rows: int | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> zarr.Array:
    """An array of chunks of `ROWS_PER_CHUNK` rows. Compressed ones are files of their own; others stand in shards of
    `shard_rows` rows (None: `rows_per_shard`), which can be appended to and mapped (`io.shards`)."""
    row = shape[1:]
    shards = None
    if not compressed:
        row_bytes = int(np.prod(row, dtype=np.int64)) * np.dtype(dtype).itemsize
        shards = (rows_per_shard(shape[0], row_bytes) if shard_rows is None else shard_rows, *row)
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(ROWS_PER_CHUNK, *row),
        shards=shards,
        dimension_names=dimensions,
        compressors="auto" if compressed else None,
        attributes=dict(attributes or {}),
        config={"write_empty_chunks": True},
    )


def layout_of(array: zarr.Array) -> Layout:
    """How the rows of an uncompressed array lie in its shards; InputError if it has none."""
    if array.shards is None or array.compressors:
        raise InputError(f"{array.store_path} does not lie in uncompressed shards; delete its store and run again")
    return Layout(np.dtype(array.dtype), array.shape[1:], array.shards[0], array.chunks[0])


def lacking(store: Path, array: zarr.Array) -> tuple[int, int]:
    """Of an array of a store, how many of its files are missing, which Zarr would read as zeros, and how many there
    are to be."""
    rows, row = (array.shards or array.chunks)[0], array.shape[1:]
    wanted = -(-array.shape[0] // rows)
    files = (store.joinpath(array.path, "c", str(number), *("0" for _ in row)) for number in range(wanted))
    return wanted - sum(file.is_file() for file in files), wanted


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
    if (found := receipt.get("format")) != RECEIPT_FORMAT:
        raise InputError(
            f"{path} has format {found!r}, expected {RECEIPT_FORMAT}: another version of polysem wrote the store; run "
            "snakemake, which makes it again with this one"
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
    """The root of the tree of digests of all files of a store, as its receipt has it."""
    return tree_digest(file_digests(path))


def damage_of_store(path: Path, sha256: str) -> str:
    """What is wrong with a store that is to have this root, with the files where its leaves tell, or ''."""
    digests = file_digests(path)
    root = tree_digest(digests)
    if root == sha256:
        return ""
    try:
        leaves = json.loads((path / DIGESTS).read_text(encoding="utf-8"))
        others = {name: digest for name, digest in digests.items() if name != DIGESTS}
        names = sorted(name for name in leaves.keys() | others.keys() if leaves.get(name) != others.get(name))
    except (OSError, ValueError, AttributeError):
        names = []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    which = ", ".join(names[:NAMED]) + more if names else f"{DIGESTS} itself or its folder"
    return f"its sha256 is {root[:12]}… and not {sha256[:12]}…: {which}"
