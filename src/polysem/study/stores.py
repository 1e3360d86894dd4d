"""Zarr stores of a study as xarray Datasets that read what they are asked for."""

from typing import TYPE_CHECKING

from polysem.io.errors import InputError
from polysem.layout.place import SPLITS, Stored
from polysem.study.results import Results

if TYPE_CHECKING:
    import xarray as xr


def as_split(split: str) -> str:
    """The name of a split. InputError, with those that there are, for another one."""
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; there are: {', '.join(SPLITS)}")
    return split


def opened(results: Results, store: Stored) -> "xr.Dataset":
    """A store, lazily, chunk by chunk; `encoding["chunks"]` of its variables says how large these are.

    Raises InputError if it or its receipt is not there, or of another format, and if files of chunks are missing, which
    Zarr would read as zeros.
    """
    import xarray as xr

    from polysem.io.stores import lacking, open_store, read_receipt

    results.bring(store.receipt)
    path = results.bring(store.store)
    read_receipt(path)
    for name, array in open_store(path).arrays():
        missing, wanted = lacking(path, array)
        if missing:
            raise InputError(
                f"{path} lacks {missing} of {wanted} files of {name!r}; delete it and its receipt and run again"
            )
    try:
        return xr.open_zarr(path, chunks=None, consolidated=True)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no readable store ({error}); delete it and its receipt and run again") from error
