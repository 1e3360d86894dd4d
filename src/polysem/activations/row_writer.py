"""Rows of activations on their way into a store."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import zarr
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from polysem.io.errors import InputError
from polysem.io.shards import SHARD_BYTES, Layout, ShardWriter, rows_per_shard
from polysem.io.stores import create_array

PLACES = ("sequence", "position")


class RowWriter:
    """Appends up to `count` rows of activations, with the place of each token, to the shards of a store; the arrays
    are declared when all rows are there. Of each array memory holds a chunk.

    With `inputs`, their number, also what enters the neurons. The shards of all arrays have the same rows, as many as
    `shard_bytes` hold of the widest. The first `whole` shards of each array are there already.
    """

    def __init__(
        self,
        folder: Path,
        site: str,
        width: int,
        dtype: Literal["float16", "float32"],
        count: int,
        inputs: int = 0,
        shard_bytes: int = SHARD_BYTES,
        whole: int = 0,
    ) -> None:
        self._folder, self._site = folder, site
        self._dtype: torch.dtype = getattr(torch, dtype)
        number = np.dtype(dtype)
        self.shard_rows = rows_per_shard(count, max(width, inputs) * number.itemsize, shard_bytes)
        self._layouts = {"activations": Layout(number, (width,), self.shard_rows)}
        if inputs:
            self._layouts["inputs"] = Layout(number, (inputs,), self.shard_rows)
        self._layouts |= {name: Layout(np.dtype(np.int32), (), self.shard_rows) for name in PLACES}
        self.rows = whole * self.shard_rows
        """Rows that are there."""
        self._count = count
        self._open: dict[str, tuple[str, ShardWriter]] = {}

    @property
    def keeps_inputs(self) -> bool:
        """Whether it writes what enters the neurons."""
        return "inputs" in self._layouts

    @property
    def full(self) -> bool:
        """Whether all rows are there."""
        return self.rows == self._count

    @property
    def shard_is_full(self) -> bool:
        """Whether the shard that is open takes no more rows: `end_shard` is due."""
        return bool(self._open) and (self.full or self.rows % self.shard_rows == 0)

    def add(
        self,
        values: Float[Tensor, "token neuron"],
        sequence: NDArray[Any],
        position: NDArray[Any],
        inputs: Float[Tensor, "token input"] | None = None,
    ) -> int:
        """Add rows, as many as the shard takes, and say how many these are; InputError for a value that the number
        format cannot hold, ValueError for rows without the inputs that the store is to hold."""
        taken = min(len(values), self._count - self.rows, self.shard_rows - self.rows % self.shard_rows)
        if not taken:
            return 0
        columns = {"activations": self._converted(values[:taken], "an activation")}
        if self.keeps_inputs:
            if inputs is None:
                raise ValueError("the store keeps what enters the neurons, and these rows come without it")
            columns["inputs"] = self._converted(inputs[:taken], "an input of a neuron")
        columns |= {"sequence": sequence[:taken], "position": position[:taken]}
        if not self._open:
            self._open = {name: self._begin(name, layout) for name, layout in self._layouts.items()}
        for name, rows in columns.items():
            self._open[name][1].add(rows)
        self.rows += taken
        return taken

    def end_shard(self) -> dict[str, str]:
        """Close the shard that is open, full or not; sha256 of its files, by their paths in the store."""
        digests = {path: writer.finish() for path, writer in self._open.values()}
        self._open = {}
        return digests

    def last_place(self) -> tuple[int, int]:
        """Sequence and position of the last row that is there, as whole shards have it."""
        shard, row = divmod(self.rows - 1, self.shard_rows)
        sequence, position = (
            np.fromfile(self._folder / name / self._layouts[name].file(shard), np.int32, 1, offset=4 * row)[0]
            for name in PLACES
        )
        return int(sequence), int(position)

    def declare(self, group: zarr.Group) -> None:
        """Write what Zarr has to know of the arrays: their shape is that of the rows that are there."""
        second = {"activations": ("neuron",), "inputs": ("input",)}
        for name, layout in self._layouts.items():
            create_array(
                group,
                name,
                (self.rows, *layout.row),
                layout.dtype.name,
                ("token", *second.get(name, ())),
                compressed=False,
                shard_rows=self.shard_rows,
            )

    def abandon(self) -> None:
        """Close the files of the shard that is open, as they are."""
        for _, writer in self._open.values():
            writer.close()
        self._open = {}

    def _begin(self, name: str, layout: Layout) -> tuple[str, ShardWriter]:
        path = f"{name}/{layout.file(self.rows // self.shard_rows)}"
        return path, ShardWriter(self._folder / path, layout)

    def _converted(self, values: Float[Tensor, "token column"], what: str) -> NDArray[Any]:
        low, high = torch.aminmax(values) if len(values) else (torch.zeros(()), torch.zeros(()))
        largest = torch.finfo(self._dtype).max
        if not (-largest <= low.item() and high.item() <= largest):
            raise InputError(
                f"{what} of {max(-low.item(), high.item()):.3g} at {self._site} does not fit into {self._dtype}; "
                "set activations.dtype to float32, or look for what is no number in the weights"
            )
        return values.to(self._dtype).cpu().numpy()
