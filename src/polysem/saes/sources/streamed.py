"""`activations: streamed`: the model runs inside the training job and fills a shuffled buffer (S2.M1).

Rows come in generations, each of so many consecutive tokens of the stream. A random half of a generation is used in its
own window, the other half waits for the next one; so every window mixes old rows with as many new ones, and the rows of
one text are spread over two windows and shuffled within each. What a step gets follows from the seed and the step, and
at most two generations have to be run through the model to go on from any step.

How many tokens of the stream are left out is known only when the model has read them. So a generation is as many tokens
of the stream as ever, and where some of these are left out, others of the same generation stand in their places, too:
the first ones once more, as the permutation has them anywhere.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from polysem.activations.left_out import LeftOut, left_out_at
from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.stores import receipt_path
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import RECORD, read_record
from polysem.models.subject import Subject
from polysem.params.base import LeaveOut
from polysem.params.recipes.base import Recipe

MODEL_TOKENS = 4096
"""Tokens per forward pass of the model; the same on all devices, as the order of the rows goes with it."""


class Stream:
    """The counted tokens of a token store, epoch after epoch with its batches in another order, as activations; those
    that are left out at the site, or at the target, have none."""

    def __init__(
        self,
        subject: Subject,
        store: TokenStore,
        site: str,
        seed: int,
        target: str | None = None,
        leave_out: LeaveOut = "massive",
    ) -> None:
        """The activations of a `target` stand behind those of the site. InputError if no token counts."""
        self._subject, self._store, self._seed = subject, store, seed
        self._sites = [site] if target is None else [site, target]
        self._size = max(1, MODEL_TOKENS // (store.attributes["context_length"] if store.is_text else 1))
        counts = [int(batch.counted.sum()) for batch in store.batches(self._size)]
        self._counts: NDArray[np.int64] = np.array(counts, np.int64)
        self.length = int(self._counts.sum())
        """Tokens per epoch."""
        if not self.length:
            raise InputError("no position of the training tokens counts: they hold only padding and masked tokens")
        self.width = subject.width(site)
        self.columns = sum(subject.width(name) for name in self._sites)
        """Numbers of a row."""
        self.left_out: dict[str, LeftOut] = left_out_at(subject, store, self._sites, leave_out)
        """The rule of each site."""
        self._epoch, self._order, self._ends = -1, np.empty(0, np.int64), np.empty(0, np.int64)

    def rows(self, start: int, stop: int) -> Iterator[Float[Tensor, "row neuron"]]:
        """The activations of tokens start … stop − 1 of the stream, without those that are left out, some at a time."""
        while start < stop:
            epoch, place = divmod(start, self.length)
            self._enter(epoch)
            number = int(np.searchsorted(self._ends, place, side="right"))
            batch = int(self._order[number])
            first = place - (int(self._ends[number]) - int(self._counts[batch]))
            values, kept = (of[first : first + stop - start] for of in self._activations(batch))
            yield values[kept]
            start += len(values)

    def _enter(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._counts))
            self._ends = np.cumsum(self._counts[self._order])
            self._epoch = epoch

    def _activations(self, number: int) -> tuple[Float[Tensor, "row neuron"], Bool[Tensor, " row"]]:
        """The activations at all counted tokens of a batch, and which of these are not left out."""
        start = number * self._size
        batch = self._store.batch(start, min(start + self._size, self._store.sequences)).without_padding()
        found = self._subject.activations(batch, self._sites)
        counted = batch.counted.to(found[self._sites[0]].device)
        values = [found[name][counted] for name in self._sites]
        out = torch.stack([self.left_out[name].of(found[name]) for name in self._sites]).any(dim=0)
        return values[0] if len(values) == 1 else torch.cat(values, dim=1), ~out[counted]


class StreamedRows:
    """Shuffled rows of a stream, through a buffer of one and a half generations."""

    def __init__(
        self, stream: Stream, batch_size: int, seed: int, buffer_bytes: float, dtype: torch.dtype, device: str
    ) -> None:
        """InputError if the buffer is too small for two batches."""
        rows = int(buffer_bytes / (stream.columns * dtype.itemsize))
        self._generation = int(rows / 1.5) // (2 * batch_size) * 2 * batch_size
        if not self._generation:
            raise InputError(
                f"buffer_gib holds {rows} rows of {stream.columns} neurons; it needs {3 * batch_size}, three batches; "
                "raise the recipe's buffer_gib or lower its batch_size"
            )
        self.width = stream.width
        self._stream, self._batch, self._seed = stream, batch_size, seed
        self._rows = torch.empty(self._generation, stream.columns, dtype=dtype, device=device)
        self._waiting = torch.empty(self._generation // 2, stream.columns, dtype=dtype, device=device)
        self._window = -1
        self._order: Int[Tensor, " row"] = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Float[Tensor, "row neuron"]:
        """See `RowSource.batch`."""
        half = self._generation // 2 // self._batch
        window, place = (0, step) if step < half else divmod(step + half, 2 * half)
        self._enter(window)
        return self._at(self._order[place * self._batch : (place + 1) * self._batch])

    def sample(self, count: int, seed: int) -> Float[Tensor, "row neuron"]:
        """Up to `count` random rows of the running window, or of the first one."""
        self._enter(max(0, self._window))
        generator = torch.Generator().manual_seed(seed)
        return self._at(self._order[torch.randperm(len(self._order), generator=generator)[:count]])

    def _at(self, numbers: Int[Tensor, " row"]) -> Float[Tensor, "row neuron"]:
        return self._rows[numbers.to(self._rows.device)].float()

    def _enter(self, window: int) -> None:
        """Fill the buffer for a window: half of the generation before it and half of its own."""
        if window == self._window:
            return
        half = self._generation // 2
        if window and window - 1 != self._window:
            self._fill(window - 1)
        self._rows[:half] = self._waiting
        self._fill(window)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + 2 * window + 1)
        used = self._generation if window else half
        self._order = torch.randperm(used, generator=generator) + (self._generation - used)
        self._window = window

    def _fill(self, generation: int) -> None:
        """Run a generation through the model; one random half of its rows is used now, the other waits."""
        start = generation * self._generation
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + 2 * generation)
        places = torch.randperm(self._generation, generator=generator).to(self._rows.device)
        done = 0
        for values in self._stream.rows(start, start + self._generation):
            self._put(places[done : done + len(values)], values.to(self._rows))
            done += len(values)
        if not done:
            raise InputError(f"all {self._generation} tokens of a generation are left out; set leave_out to none")
        again = torch.arange(self._generation - done, device=places.device) % done
        self._put(places[done:], self._got(places[again]))

    def _put(self, places: Int[Tensor, " row"], values: Float[Tensor, "row neuron"]) -> None:
        half = self._generation // 2
        now = places < half
        self._rows[half + places[now]] = values[now]
        self._waiting[places[~now] - half] = values[~now]

    def _got(self, places: Int[Tensor, " row"]) -> Float[Tensor, "row neuron"]:
        half = self._generation // 2
        now = places < half
        values = torch.empty(len(places), self._rows.shape[1], dtype=self._rows.dtype, device=self._rows.device)
        values[now] = self._rows[half + places[now]]
        values[~now] = self._waiting[places[~now] - half]
        return values


class ModelRows(StreamedRows):
    """Rows of a site of a model, on the texts of a token store."""

    def __init__(
        self,
        recipe: Recipe,
        model: Path,
        tokens: Path,
        site: str,
        dtype: str,
        device: str,
        leave_out: LeaveOut = "massive",
    ) -> None:
        """InputError if the model lacks the site or the target, no token counts, or the buffer is too small."""
        stream = Stream(load_subject(model, device), TokenStore(tokens), site, recipe.seed, recipe.target, leave_out)
        super().__init__(
            stream, recipe.batch_size, recipe.seed, recipe.buffer_gib * 2**30, getattr(torch, dtype), device
        )
        params: dict[str, Any] = {
            "site": site,
            "dtype": dtype,
            "model": file_digest(model / RECORD),
            "settings": read_record(model).settings,
            "tokens": file_digest(receipt_path(tokens)),
            "left_out": stream.left_out[site].values(),
        }
        if recipe.target is not None:
            params |= {"target": recipe.target, "left_out_at_target": stream.left_out[recipe.target].values()}
        self.receipt = {"params": params}


def open_rows(recipe: Recipe, where: dict[str, str], device: str) -> ModelRows:
    """The rows of `where`: the folder of a model, the token store, the site, the number format of the buffer, and what
    is left out."""
    leave_out = cast(LeaveOut, where["leave_out"])
    return ModelRows(
        recipe, Path(where["model"]), Path(where["tokens"]), where["site"], where["dtype"], device, leave_out
    )
