"""Step: run a model over a token store and keep the activations of one site."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import zarr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.io.content import file_digest
from polysem.io.disk import fits, in_gigabytes
from polysem.io.errors import InputError
from polysem.io.stores import ROWS_PER_CHUNK, create_array, receipt_path, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import RECORD, WEIGHTS, read_record
from polysem.models.subject import Subject

BATCH_TOKENS = 4096
"""Tokens per forward pass; more do not run faster on a CPU and need more memory."""
BATCH_TOKENS_ON_GPU = 1 << 15
"""The same on a GPU, which is done with fewer before Python has asked for the next layer."""
CHUNKS_OF_PLACES = 64
"""Chunks of `sequence` and `position` written at once: they are so small that every write is mostly overhead."""


def extract_activations(
    model: Path,
    tokens: Path,
    site: str,
    output: Path,
    limit: int,
    dtype: Literal["float16", "float32"],
    code: str,
    device: str = "cpu",
    inputs: bool = False,
) -> None:
    """Write the activation store of one site and its receipt; memory does not grow with the number of tokens.

    Arrays: `activations` [token, neuron], uncompressed chunks of 1024 rows; `sequence` and `position` int32 [token],
    where the token stands in the token store; with `inputs`, where the neurons of the site have input weights, also
    `inputs` [token, input], what these weights multiply, in the same form as the activations. Masked positions are left
    out; at most `limit` tokens are kept. Raises InputError if the model lacks the site, the disk the space, or a number
    does not fit into the number format.
    """
    subject = load_subject(model, device)
    store = TokenStore(tokens)
    width = subject.width(site)
    total = counted_tokens(store, limit)
    if not total:
        raise InputError(f"no position of {tokens} counts: it holds only padding and masked tokens")
    entering = subject.input_weights(site) if inputs else None
    input_width = entering.shape[1] if entering is not None else 0
    require_space(output.parent, total * (width + input_width) * np.dtype(dtype).itemsize)
    record = read_record(model)
    params = {
        "site": site,
        "limit": limit,
        "dtype": dtype,
        "model": file_digest(model / RECORD),
        "weights": record.files[WEIGHTS],
        "settings": record.settings,
        "tokens": file_digest(receipt_path(tokens)),
        "inputs": bool(input_width),
    }
    if modules := subject.modules(site):
        params["modules"] = modules
    begun = time.monotonic()
    with written_store(
        output,
        attributes={"site": site, "width": width},
        params=params,
        code=code,
        device=device_name(subject.device),
        libraries=("numpy", "torch", "transformer_lens", "zarr"),
    ) as group:
        write_activations(subject, store, site, RowWriter(group, width, dtype, total, input_width))
    print(f"{total:,} tokens, {total / (time.monotonic() - begun):,.0f} tokens/s", file=sys.stderr)


def write_activations(subject: Subject, store: TokenStore, site: str, writer: "RowWriter") -> None:
    """Run the model over the sequences of a store, in their order, until the writer is full."""
    size = max(1, batch_tokens(subject.device) // (store.attributes["context_length"] if store.is_text else 1))
    done = 0
    with torch.inference_mode():
        for batch in store.batches(size):
            if writer.keeps_inputs:
                values, entering = subject.activations_and_inputs(batch, site)
            else:
                values, entering = subject.activations(batch, [site])[site], None
            sequence, position = torch.nonzero(batch.counted, as_tuple=True)
            rows = (sequence * batch.counted.shape[1] + position).to(values.device)
            inputs = None if entering is None else entering.flatten(0, 1)[rows]
            writer.add(values.flatten(0, 1)[rows], sequence.numpy() + done, position.numpy(), inputs)
            if writer.full:
                return
            done += len(batch.counted)


def batch_tokens(device: torch.device) -> int:
    """Tokens per forward pass."""
    return BATCH_TOKENS_ON_GPU if device.type == "cuda" else BATCH_TOKENS


def counted_tokens(store: TokenStore, enough: int) -> int:
    """Number of positions that count, or `enough` if there are at least as many."""
    total = 0
    for batch in store.batches(ROWS_PER_CHUNK):
        total += int(batch.counted.sum())
        if total >= enough:
            return enough
    return total


def require_space(folder: Path, needed: int) -> None:
    """InputError if the disk below a folder has less free space than this many bytes and a fiftieth."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if not fits(needed, free):
        raise InputError(
            f"{folder} needs {in_gigabytes(needed)} for activations and has {in_gigabytes(free)} free; "
            "free some space or lower activations.train_tokens / eval_tokens"
        )


def device_name(device: torch.device) -> str:
    """`cpu`, or the name of the GPU: a receipt says on what a store was computed."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class RowWriter:
    """Writes `count` rows of activations, with the place of each token, to a store: whole chunks until the last.

    With `inputs`, their number, also what enters the neurons.
    """

    def __init__(
        self, group: zarr.Group, width: int, dtype: Literal["float16", "float32"], count: int, inputs: int = 0
    ) -> None:
        self._missing = count
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._activations = _Column(
            create_array(group, "activations", (count, width), dtype, ("token", "neuron"), compressed=False), 1
        )
        self._inputs = None
        if inputs:
            array = create_array(group, "inputs", (count, inputs), dtype, ("token", "input"), compressed=False)
            self._inputs = _Column(array, 1)
        self._places = [
            _Column(create_array(group, name, (count,), "int32", ("token",), compressed=True), CHUNKS_OF_PLACES)
            for name in ("sequence", "position")
        ]

    @property
    def keeps_inputs(self) -> bool:
        """Whether it writes what enters the neurons."""
        return self._inputs is not None

    @property
    def full(self) -> bool:
        """Whether all rows are there; they are on the disk then."""
        return not self._missing

    def add(
        self,
        values: Float[Tensor, "token neuron"],
        sequence: NDArray[Any],
        position: NDArray[Any],
        inputs: Float[Tensor, "token input"] | None = None,
    ) -> None:
        """Add rows, as many as are still missing; InputError for a value that the number format cannot hold, ValueError
        for rows without the inputs that the store is to hold."""
        values = values[: self._missing]
        self._activations.add(self._converted(values, "an activation"))
        if self._inputs is not None:
            if inputs is None:
                raise ValueError("the store keeps what enters the neurons, and these rows come without it")
            self._inputs.add(self._converted(inputs[: self._missing], "an input of a neuron"))
        for column, place in zip(self._places, (sequence, position), strict=True):
            column.add(place[: len(values)])
        self._missing -= len(values)

    def _converted(self, values: Float[Tensor, "token column"], what: str) -> NDArray[Any]:
        low, high = torch.aminmax(values) if len(values) else (torch.zeros(()), torch.zeros(()))
        largest = torch.finfo(self._dtype).max
        if not (-largest <= low.item() and high.item() <= largest):
            raise InputError(
                f"{what} of {max(-low.item(), high.item()):.3g} does not fit into {self._dtype}; "
                "set activations.dtype to float32, or look for what is no number in the weights"
            )
        return values.to(self._dtype).cpu().numpy()


class _Column:
    """An array that is filled from its first row to its last, so many chunks at a time."""

    def __init__(self, array: zarr.Array, chunks: int) -> None:
        self._array, self._block = array, chunks * ROWS_PER_CHUNK
        self._held: list[NDArray[Any]] = []
        self._written = self._rows = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Hold rows, and write whole blocks; the end of the array is written as it comes."""
        self._held.append(rows)
        self._rows += len(rows)
        missing = self._rows - self._written
        count = missing if self._rows == self._array.shape[0] else missing - missing % self._block
        if count:
            held = np.concatenate(self._held)
            self._array[self._written : self._written + count] = held[:count]
            self._held = [held[count:].copy()]
            self._written += count
