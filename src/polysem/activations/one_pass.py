"""One pass of a model over a token store, which makes the activation stores of several sites."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polysem.activations.extraction import LIBRARIES, Extraction
from polysem.activations.left_out import TIMES, LeftOut, left_out_at
from polysem.activations.row_writer import RowWriter
from polysem.activations.sequences import sequences_at_once
from polysem.io.content import file_digest
from polysem.io.disk import fits, in_gigabytes
from polysem.io.errors import InputError
from polysem.io.stores import ROWS_PER_CHUNK, receipt_path, written_store
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
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


def made_in_one_pass(extraction: Extraction, stores: Mapping[str, Path]) -> Iterator[Made]:
    """Make the stores of some sites at some places, each with its receipt, and give each as soon as it is whole. Memory
    does not grow with the number of tokens; of each site a chunk is held.

    What speaks against one site (the model lacks it, a number does not fit into the number format, all tokens are left
    out) leaves it out, and no other. Raises InputError if no token counts or the disk lacks the space for all of them.
    """
    subject = load_subject(extraction.model, extraction.device)
    tokens = TokenStore(extraction.tokens)
    total = counted_tokens(tokens, extraction.limit)
    if not total:
        raise InputError(f"no position of {extraction.tokens} counts: it holds only padding and masked tokens")
    columns: dict[str, tuple[int, int]] = {}
    for site in stores:
        try:
            columns[site] = subject.width(site), input_width(subject, site) if extraction.inputs else 0
        except InputError as error:
            yield Made(site, refusal=error)
    if not columns:
        return
    item = np.dtype(extraction.dtype).itemsize
    require_space(next(iter(stores.values())).parent, total * sum(map(sum, columns.values())) * item)
    rules = left_out_at(subject, TokenStore(extraction.train_tokens), list(columns), extraction.leave_out)
    begun = time.monotonic()
    with ExitStack() as opened:
        writing: dict[str, StoreInMaking] = {}
        for site in columns:
            writing[site] = StoreInMaking(extraction, subject, site, stores[site], rules[site], total, *columns[site])
            opened.push(writing[site])
        yield from make_together(subject, tokens, writing, inputs=extraction.inputs)
    speed = total / (time.monotonic() - begun)
    print(f"one pass for {', '.join(columns)}: {total:,} tokens, {speed:,.0f} tokens/s", file=sys.stderr)


def make_together(
    subject: Subject, tokens: TokenStore, writing: Mapping[str, "StoreInMaking"], *, inputs: bool
) -> Iterator[Made]:
    """Run the model over the sequences of a token store, in their order, until all stores are full or there are no
    more."""
    left, first = dict(writing), 0
    for batch in tokens.batches(sequences_at_once(tokens, subject.device)):
        refused: dict[str, InputError] = {}
        subject.visit(batch, list(left), partial(_add, left, refused, batch, first), inputs=inputs)
        for site in [site for site, store in left.items() if site in refused or store.writer.full]:
            store = left.pop(site)
            yield store.dropped(refused[site]) if site in refused else store.finished()
        if not left:
            return
        first += len(batch.counted)
    for store in left.values():
        yield store.finished()


def _add(
    writing: Mapping[str, "StoreInMaking"],
    refused: dict[str, InputError],
    batch: Batch,
    first: int,
    site: str,
    values: Float[Tensor, "sequence position neuron"],
    entering: Float[Tensor, "sequence position input"] | None,
) -> None:
    try:
        writing[site].add(batch, first, values, entering)
    except InputError as error:
        refused[site] = error


class StoreInMaking(AbstractContextManager[None]):
    """A store that is being written; what ends the block before it is whole leaves nothing of it."""

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
        self._open = ExitStack()
        group = self._open.enter_context(
            written_store(
                path,
                attributes={"site": site, "width": width},
                params=self._params,
                code=extraction.code,
                device=extraction.device,
                precision=precision(extraction.device),
                libraries=LIBRARIES,
            )
        )
        self.writer = RowWriter(group, site, width, extraction.dtype, total, inputs)
        self._out = self._massive = 0

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
        rows = number.to(values.device)
        kept_inputs = entering if self.writer.keeps_inputs else None
        inputs = None if kept_inputs is None else kept_inputs.flatten(0, 1).index_select(0, rows)
        added = values.flatten(0, 1).index_select(0, rows)  # a seventh of the time of indexing
        kept = self.writer.add(added, sequence.numpy() + first, position.numpy(), inputs)
        end = int(number[kept - 1]) + 1 if self.writer.full else batch.counted.numel()
        self._out += int(out.flatten()[:end].sum())
        self._massive += int(massive.flatten()[:end].sum())

    def finished(self) -> Made:
        """Make the store whole; its refusal if all tokens are left out or the disk refuses it."""
        try:
            self.writer.finish()
            if not self.writer.rows:
                raise InputError(
                    f"activations.leave_out {self._how!r} leaves out every token at {self._site}; set it to none"
                )
            self._params["left_out"] = self._left_out.values() | {"tokens": self._out, "massive": self._massive}
            self._open.close()
        except InputError as error:
            return self.dropped(error)
        return Made(self._site, said=self._said())

    def dropped(self, refusal: InputError) -> Made:
        """Leave nothing of the store."""
        self._open.__exit__(type(refusal), refusal, refusal.__traceback__)
        return Made(self._site, refusal=refusal)

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


def input_width(subject: Subject, site: str) -> int:
    """Numbers that enter each neuron of a site; 0 where the site has no input weights."""
    weights = subject.input_weights(site)
    return 0 if weights is None else weights.shape[1]


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
