"""Rows of activations on their way into a store."""

from typing import Any, Literal

import numpy as np
import torch
import zarr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.io.errors import InputError
from polysem.io.stores import ROWS_PER_CHUNK, create_array

CHUNKS_OF_PLACES = 64
"""Chunks of `sequence` and `position` written at once: they are so small that every write is mostly overhead."""


class RowWriter:
    """Writes up to `count` rows of activations, with the place of each token, to a store: whole chunks until the last.

    With `inputs`, their number, also what enters the neurons.
    """

    def __init__(
        self,
        group: zarr.Group,
        site: str,
        width: int,
        dtype: Literal["float16", "float32"],
        count: int,
        inputs: int = 0,
    ) -> None:
        self._site = site
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
                f"{what} of {max(-low.item(), high.item()):.3g} at {self._site} does not fit into {self._dtype}; "
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
