"""Step: run a model over a token store and keep the activations of one site."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from polysem.io.command import run
from polysem.io.errors import InputError
from polysem.io.stores import ROWS_PER_CHUNK, create_array, receipt_path, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import RECORD, file_digest, read_record

BATCH_TOKENS = 4096
"""Tokens per forward pass; more do not run faster on a CPU and need more memory."""


def extract_activations(
    model: Path,
    tokens: Path,
    site: str,
    output: Path,
    limit: int,
    dtype: Literal["float16", "float32"],
    code: str,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Write the activation store of one site and its receipt; memory does not grow with the number of tokens.

    Arrays: `activations` [token, neuron], uncompressed chunks of 1024 rows; `sequence` and `position` int32 [token],
    where the token stands in the token store. Masked positions are left out; at most `limit` tokens are kept. Raises
    InputError if the model lacks the site, the disk the space, or an activation does not fit into the number format.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    subject = load_subject(model, device)
    store = TokenStore(tokens)
    width = subject.width(site)
    require_space(output.parent, min(limit, counted_tokens(store, limit)) * width * np.dtype(dtype).itemsize)
    size = 1 if not store.is_text else store.attributes["context_length"]
    params = {
        "site": site,
        "limit": limit,
        "dtype": dtype,
        "model": file_digest(model / RECORD),
        "settings": read_record(model).settings,
        "tokens": file_digest(receipt_path(tokens)),
    }
    begun = time.monotonic()
    with written_store(
        output,
        attributes={"site": site, "width": width},
        params=params,
        code=code,
        device=device_name(subject.device),
        libraries=("numpy", "torch", "transformer_lens", "zarr"),
    ) as group:
        rows = _Rows(group, width, dtype, limit)
        with torch.inference_mode():
            for start in range(0, store.sequences, max(1, BATCH_TOKENS // size)):
                batch = store.batch(start, min(start + max(1, BATCH_TOKENS // size), store.sequences))
                values = subject.activations(batch, [site])[site]
                sequence, position = torch.nonzero(batch.counted, as_tuple=True)
                kept = values[batch.counted.to(values.device)].to(getattr(torch, dtype)).cpu().numpy()
                if not rows.add(kept, sequence.numpy() + start, position.numpy()):
                    break
        total = rows.close()
    print(f"{total:,} tokens, {total / (time.monotonic() - begun):,.0f} tokens/s", file=sys.stderr)


def counted_tokens(store: TokenStore, enough: int) -> int:
    """Number of positions that count, or `enough` if there are at least as many."""
    total = 0
    for batch in store.batches(ROWS_PER_CHUNK):
        total += int(batch.counted.sum())
        if total >= enough:
            return enough
    return total


def require_space(folder: Path, needed: int) -> None:
    """InputError if the disk below a folder has less free space than this many bytes and a small reserve."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed * 1.02 + 100e6 > free:
        raise InputError(
            f"{folder} needs {needed / 1e9:,.1f} GB for activations and has {free / 1e9:,.1f} GB free; "
            "free some space or lower activations.train_tokens / eval_tokens"
        )


def device_name(device: torch.device) -> str:
    """`cpu`, or the name of the GPU: a receipt says on what a store was computed."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class _Rows:
    """Rows on their way to a store, written in whole chunks."""

    def __init__(self, group: zarr.Group, width: int, dtype: str, limit: int) -> None:
        self._limit, self._kept, self._dtype = limit, 0, dtype
        self._arrays = {
            "activations": create_array(group, "activations", (0, width), dtype, ("token", "neuron"), compressed=False),
            "sequence": create_array(group, "sequence", (0,), "int32", ("token",), compressed=True),
            "position": create_array(group, "position", (0,), "int32", ("token",), compressed=True),
        }
        self._held: dict[str, list[NDArray[Any]]] = {name: [] for name in self._arrays}

    def add(self, values: NDArray[Any], sequence: NDArray[Any], position: NDArray[Any]) -> bool:
        """Add rows; False once the limit is reached."""
        if not np.isfinite(values).all():
            raise InputError(
                f"an activation does not fit into {self._dtype} or is no number; set activations.dtype to float32"
            )
        count = min(len(values), self._limit - self._kept)
        self._kept += count
        for name, rows in (("activations", values), ("sequence", sequence), ("position", position)):
            self._held[name].append(rows[:count])
        if sum(map(len, self._held["sequence"])) >= ROWS_PER_CHUNK:
            self._write(whole_chunks=True)
        return self._kept < self._limit

    def close(self) -> int:
        """Write what is left; the number of rows in all."""
        self._write(whole_chunks=False)
        if not self._kept:
            raise InputError("no position counts: the token store holds only padding and masked tokens")
        return self._kept

    def _write(self, whole_chunks: bool) -> None:
        for name, array in self._arrays.items():
            rows = np.concatenate(self._held[name]) if self._held[name] else np.empty((0, *array.shape[1:]))
            count = len(rows) - len(rows) % ROWS_PER_CHUNK if whole_chunks else len(rows)
            if count:
                array.append(rows[:count])
            self._held[name] = [rows[count:]]


if __name__ == "__main__":
    run(extract_activations)
