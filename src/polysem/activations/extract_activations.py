"""Step: run a model over a token store and keep the activations of one site."""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import zarr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.activations.left_out import TIMES, LeftOut, left_out_at
from polysem.activations.sequences import sequences_at_once
from polysem.io.content import file_digest
from polysem.io.disk import fits, in_gigabytes
from polysem.io.errors import InputError
from polysem.io.stores import ROWS_PER_CHUNK, create_array, receipt_path, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import RECORD, WEIGHTS, read_record
from polysem.models.subject import Subject
from polysem.numerics.devices import Device, precision, resolved
from polysem.params.base import LeaveOut

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
    device: Device = "cpu",
    inputs: bool = False,
    leave_out: LeaveOut = "massive",
    train_tokens: Path | None = None,
) -> None:
    """Write the activation store of one site and its receipt; memory does not grow with the number of tokens.

    Arrays: `activations` [token, neuron], uncompressed chunks of 1024 rows; `sequence` and `position` int32 [token],
    where the token stands in the token store; with `inputs`, where the neurons of the site have input weights, also
    `inputs` [token, input], what these weights multiply, in the same form as the activations. Masked positions have no
    row, nor has what `leave_out` names (`activations.left_out`); at most `limit` tokens are kept. `train_tokens` is the
    token store that says which norms are massive; None: `tokens` is it. The receipt records the rule under `left_out`,
    with how many `tokens` before the last row are left out and how many are `massive`, left out or not.
    Raises InputError if the model lacks the site, the disk the space, a number does not fit into the number format, or
    all tokens are left out.
    """
    here = resolved(device)
    subject = load_subject(model, here)
    store = TokenStore(tokens)
    width = subject.width(site)
    total = counted_tokens(store, limit)
    if not total:
        raise InputError(f"no position of {tokens} counts: it holds only padding and masked tokens")
    entering = subject.input_weights(site) if inputs else None
    input_width = entering.shape[1] if entering is not None else 0
    left_out = left_out_at(subject, store if train_tokens is None else TokenStore(train_tokens), site, leave_out)
    require_space(output.parent, total * (width + input_width) * np.dtype(dtype).itemsize)
    record = read_record(model)
    params: dict[str, Any] = {
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
        device=here,
        precision=precision(here),
        libraries=("numpy", "torch", "transformer_lens", "zarr"),
    ) as group:
        writer = RowWriter(group, width, dtype, total, input_width)
        passed = write_activations(subject, store, site, writer, left_out)
        if not writer.rows:
            raise InputError(f"activations.leave_out {leave_out!r} leaves out every token at {site}; set it to none")
        params["left_out"] = left_out.values() | {"tokens": passed.left_out, "massive": passed.massive}
    print(f"{writer.rows:,} tokens, {writer.rows / (time.monotonic() - begun):,.0f} tokens/s", file=sys.stderr)
    print(said(left_out, passed, writer.rows), file=sys.stderr)


@dataclass
class Passed:
    """What became of the tokens up to the last row of a store."""

    left_out: int = 0
    massive: int = 0
    """Tokens with massive activations, left out or not."""


def said(left_out: LeftOut, passed: Passed, rows: int) -> str:
    """A sentence on what is left out, with its share of all tokens that count."""
    total = rows + passed.left_out
    massive = (
        f"{passed.massive:,} of {total:,} tokens ({passed.massive / total:.2%}) are massive, with a norm above "
        f"{left_out.above:,.0f}: {TIMES} × the median of the first {left_out.measured:,} train tokens"
    )
    out = f"{passed.left_out:,} tokens ({passed.left_out / total:.2%})"
    how = {
        "massive": "they are left out",
        "first": f"the first of each sequence is left out, {out}",
        "none": "they count",
    }
    return f"{massive}; {how[left_out.how]}"


def write_activations(subject: Subject, store: TokenStore, site: str, writer: "RowWriter", left_out: LeftOut) -> Passed:
    """Run the model over the sequences of a store, in their order, until the writer is full or there are no more."""
    size = sequences_at_once(store, subject.device)
    done, passed = 0, Passed()
    with torch.inference_mode():
        for batch in store.batches(size):
            if writer.keeps_inputs:
                values, entering = subject.activations_and_inputs(batch, site)
            else:
                values, entering = subject.activations(batch, [site])[site], None
            out = left_out.of(values).cpu() & batch.counted
            sequence, position = torch.nonzero(batch.counted & ~out, as_tuple=True)
            number = sequence * batch.counted.shape[1] + position
            rows = number.to(values.device)
            inputs = None if entering is None else entering.flatten(0, 1)[rows]
            kept = writer.add(values.flatten(0, 1)[rows], sequence.numpy() + done, position.numpy(), inputs)
            end = int(number[kept - 1]) + 1 if writer.full else batch.counted.numel()
            passed.left_out += int(out.flatten()[:end].sum())
            passed.massive += int((left_out.massive(values).cpu() & batch.counted).flatten()[:end].sum())
            if writer.full:
                return passed
            done += len(batch.counted)
    writer.finish()
    return passed


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


class RowWriter:
    """Writes up to `count` rows of activations, with the place of each token, to a store: whole chunks until the last.

    With `inputs`, their number, also what enters the neurons.
    """

    def __init__(
        self, group: zarr.Group, width: int, dtype: Literal["float16", "float32"], count: int, inputs: int = 0
    ) -> None:
        self.rows = 0
        """Rows that were added."""
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
    ) -> int:
        """Add rows, as many as are still missing, and say how many these are; InputError for a value that the number
        format cannot hold, ValueError for rows without the inputs that the store is to hold."""
        values = values[: self._missing]
        self._activations.add(self._converted(values, "an activation"))
        if self._inputs is not None:
            if inputs is None:
                raise ValueError("the store keeps what enters the neurons, and these rows come without it")
            self._inputs.add(self._converted(inputs[: self._missing], "an input of a neuron"))
        for column, place in zip(self._places, (sequence, position), strict=True):
            column.add(place[: len(values)])
        self._missing -= len(values)
        self.rows += len(values)
        return len(values)

    def finish(self) -> None:
        """Write what is held, where there are fewer rows than there were to be, and cut the arrays to these."""
        for column in (self._activations, *([] if self._inputs is None else [self._inputs]), *self._places):
            column.finish()

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

    def finish(self) -> None:
        """Write the rest and cut the array to the rows that there are."""
        if self._rows < self._array.shape[0]:
            self._array.resize((self._rows, *self._array.shape[1:]))
            self.add(np.zeros((0, *self._array.shape[1:]), self._array.dtype))
