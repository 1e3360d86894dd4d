"""The activation store of one site while a pass of the model fills it."""

import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polysem.activations.extraction import LIBRARIES, Extraction
from polysem.activations.left_out import TIMES, LeftOut
from polysem.activations.row_writer import RowWriter
from polysem.io.begun import Begun
from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.io.stores import partial_of, receipt_path, written_store
from polysem.models.record import RECORD, WEIGHTS, read_record
from polysem.models.subject import Batch, Subject
from polysem.numerics.devices import precision


@dataclass(frozen=True)
class Made:
    """What became of the store of a site."""

    site: str
    said: str = ""
    """A sentence on what is left out."""
    refusal: InputError | None = None
    """Why there is none."""


class StoreInMaking(AbstractContextManager[None]):
    """A store that is being written, from the first shard on that is not there yet. What ends the block before it is
    whole leaves nothing of it; a signal, or a disk that is full, leaves whole shards."""

    def __init__(
        self,
        extraction: Extraction,
        subject: Subject,
        site: str,
        path: Path,
        left_out: LeftOut,
        total: int,
        width: int,
        inputs: int,
    ) -> None:
        """Rows of `width` neurons and `inputs` inputs, `total` of them at most."""
        record = read_record(extraction.model)
        self._site, self._left_out, self._how = site, left_out, extraction.leave_out
        self._params: dict[str, Any] = {
            "site": site,
            "limit": extraction.limit,
            "dtype": extraction.dtype,
            "model": file_digest(extraction.model / RECORD),
            "weights": record.files[WEIGHTS],
            "settings": record.settings,
            "tokens": file_digest(receipt_path(extraction.tokens)),
            "inputs": bool(inputs),
        }
        if modules := subject.modules(site):
            self._params["modules"] = modules
        partial = partial_of(path)
        self._begun = Begun(partial, extraction.determines(site))
        self._open = ExitStack()
        self._group = self._open.enter_context(
            written_store(
                path,
                attributes={"site": site, "width": width},
                params=self._params,
                code=extraction.code,
                device=extraction.device,
                precision=precision(extraction.device),
                libraries=LIBRARIES,
                begun=self._begun,
            )
        )
        shards = len(self._begun.notes)
        self.writer = RowWriter(partial, site, width, extraction.dtype, total, inputs, extraction.shard_bytes, shards)
        self._open.callback(self.writer.abandon)
        self._rows_before = self.writer.rows
        self._last = self.writer.last_place() if shards else None
        self._out = self._begun.notes[-1].said["left_out"] if shards else 0
        self._massive = self._begun.notes[-1].said["massive"] if shards else 0
        self._tell()

    @property
    def begins(self) -> int:
        """The number of the first sequence that has rows which are not there yet, perhaps."""
        return 0 if self._last is None else self._last[0]

    @property
    def made(self) -> int:
        """Rows that were made and not found."""
        return self.writer.rows - self._rows_before

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(
        self,
        batch: Batch,
        first: int,
        values: Float[Tensor, "sequence position neuron"],
        entering: Float[Tensor, "sequence position input"] | None,
    ) -> None:
        """Add the rows of a batch whose first sequence has this number; InputError as `RowWriter.add` has it."""
        massive = self._left_out.massive(values).cpu() & batch.counted
        out = massive if self._how == "massive" else self._left_out.of(values).cpu() & batch.counted
        sequence, position = torch.nonzero(batch.counted & ~out, as_tuple=True)
        number = sequence * batch.counted.shape[1] + position
        done = self._done_in(batch, first)
        at = int(torch.searchsorted(number, done))
        rows = number[at:].to(values.device)
        kept_inputs = entering if self.writer.keeps_inputs else None
        inputs = None if kept_inputs is None else kept_inputs.flatten(0, 1).index_select(0, rows)
        added = values.flatten(0, 1).index_select(0, rows)  # a seventh of the time of indexing
        places = sequence[at:].numpy() + first, position[at:].numpy()
        taken = 0
        while True:
            rest = None if inputs is None else inputs[taken:]
            taken += self.writer.add(added[taken:], places[0][taken:], places[1][taken:], rest)
            ended = self.writer.shard_is_full
            end = int(number[at + taken - 1]) + 1 if ended else batch.counted.numel()
            self._out += int(out.flatten()[done:end].sum())
            self._massive += int(massive.flatten()[done:end].sum())
            done = end
            if not ended:
                return
            digests = self.writer.end_shard()
            if self.writer.full:
                self._begun.digests |= digests
                return
            self._begun.add(digests, left_out=self._out, massive=self._massive)

    def finished(self) -> Made:
        """Make the store whole; its refusal if all tokens are left out or the disk refuses it."""
        try:
            self._begun.digests |= self.writer.end_shard()
            if not self.writer.rows:
                raise InputError(
                    f"activations.leave_out {self._how!r} leaves out every token at {self._site}; set it to none"
                )
            self.writer.declare(self._group)
            self._params["left_out"] = self._left_out.values() | {"tokens": self._out, "massive": self._massive}
            self._open.close()
        except InputError as error:
            return self.dropped(error)
        return Made(self._site, said=self._said())

    def dropped(self, refusal: InputError) -> Made:
        """Leave nothing of the store."""
        self._open.__exit__(type(refusal), refusal, refusal.__traceback__)
        return Made(self._site, refusal=refusal)

    def _done_in(self, batch: Batch, first: int) -> int:
        """How many places of a batch, from its first on, whole shards hold or leave out."""
        if self._last is None or self._last[0] < first:
            return 0
        sequence, position = self._last
        return (sequence - first) * batch.counted.shape[1] + position + 1

    def _tell(self) -> None:
        """Say what was found."""
        if self._begun.torn:
            print(f"{self._site}: {self._begun.torn} is torn; it is made again", file=sys.stderr)
        if self.writer.rows:
            said = f"the first {self.writer.rows:,} tokens are there in whole shards, the pass goes on behind them"
            print(f"{self._site}: {said}", file=sys.stderr)

    def _said(self) -> str:
        """A sentence on what is left out, with its share of all tokens that count."""
        total = self.writer.rows + self._out
        massive = (
            f"{self._massive:,} of {total:,} tokens ({self._massive / total:.2%}) are massive, with a norm above "
            f"{self._left_out.above:,.0f}: {TIMES} × the median of the first {self._left_out.measured:,} train tokens"
        )
        how = {
            "massive": "they are left out",
            "first": f"the first of each sequence is left out, {self._out:,} tokens ({self._out / total:.2%})",
            "none": "they count",
        }
        return f"{massive}; {how[self._how]}"
