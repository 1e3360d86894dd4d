"""`activations: streamed`: the model runs inside the training job and fills a shuffled buffer (S2.M1).

Rows come in generations, each of so many consecutive tokens of the stream. A random half of a generation is used in its
own window, the other half waits for the next one; so every window mixes old rows with as many new ones, and the rows of
one text are spread over two windows and shuffled within each. What a step gets follows from the seed and the step, and
at most two generations have to be run through the model to go on from any step.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.stores import receipt_path
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.record import RECORD, read_record
from polysem.models.subject import Subject
from polysem.params.recipes.base import Recipe

MODEL_TOKENS = 4096
"""Tokens per forward pass of the model; the same on all devices, as the order of the rows goes with it."""


class Stream:
    """The counted tokens of a token store, epoch after epoch with its batches in another order, as activations."""

    def __init__(self, subject: Subject, store: TokenStore, site: str, seed: int, target: str | None = None) -> None:
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
        self._epoch, self._order, self._ends = -1, np.empty(0, np.int64), np.empty(0, np.int64)

    def rows(self, start: int, stop: int) -> Iterator[Float[Tensor, "row neuron"]]:
        """The activations of tokens start … stop − 1 of the stream, some at a time."""
        while start < stop:
            epoch, place = divmod(start, self.length)
            self._enter(epoch)
            number = int(np.searchsorted(self._ends, place, side="right"))
            batch = int(self._order[number])
            first = place - (int(self._ends[number]) - int(self._counts[batch]))
            values = self._activations(batch)[first : first + stop - start]
            yield values
            start += len(values)

    def _enter(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._counts))
            self._ends = np.cumsum(self._counts[self._order])
            self._epoch = epoch

    def _activations(self, number: int) -> Float[Tensor, "row neuron"]:
        start = number * self._size
        batch = self._store.batch(start, min(start + self._size, self._store.sequences)).without_padding()
        found = self._subject.activations(batch, self._sites)
        values = [found[name][batch.counted.to(found[name].device)] for name in self._sites]
        return values[0] if len(values) == 1 else torch.cat(values, dim=1)


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
        half, start = self._generation // 2, generation * self._generation
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + 2 * generation)
        places = torch.randperm(self._generation, generator=generator).to(self._rows.device)
        done = 0
        for values in self._stream.rows(start, start + self._generation):
            place = places[done : done + len(values)]
            values = values.to(self._rows)
            self._rows[half + place[place < half]] = values[place < half]
            self._waiting[place[place >= half] - half] = values[place >= half]
            done += len(values)


class ModelRows(StreamedRows):
    """Rows of a site of a model, on the texts of a token store."""

    def __init__(self, recipe: Recipe, model: Path, tokens: Path, site: str, dtype: str, device: str) -> None:
        """InputError if the model lacks the site or the target, no token counts, or the buffer is too small."""
        stream = Stream(load_subject(model, device), TokenStore(tokens), site, recipe.seed, recipe.target)
        super().__init__(
            stream, recipe.batch_size, recipe.seed, recipe.buffer_gib * 2**30, getattr(torch, dtype), device
        )
        params = {
            "site": site,
            "dtype": dtype,
            "model": file_digest(model / RECORD),
            "settings": read_record(model).settings,
            "tokens": file_digest(receipt_path(tokens)),
        }
        if recipe.target is not None:
            params["target"] = recipe.target
        self.receipt = {"params": params}


def open_rows(recipe: Recipe, where: dict[str, str], device: str) -> ModelRows:
    """The rows of `where`: the folder of a model, the token store, the site and the number format of the buffer."""
    return ModelRows(recipe, Path(where["model"]), Path(where["tokens"]), where["site"], where["dtype"], device)
