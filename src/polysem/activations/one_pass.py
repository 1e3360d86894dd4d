"""One pass of a model over a token store, which makes the activation stores of several sites."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polysem.activations.extraction import PLACE_BYTES, Extraction
from polysem.activations.left_out import left_out_at
from polysem.activations.sequences import sequences_at_once
from polysem.activations.store_in_making import Made, StoreInMaking
from polysem.io.begun import bytes_in
from polysem.io.disk import fits, in_gigabytes
from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK
from polysem.io.stores import partial_of
from polysem.models.batches import TokenStore
from polysem.models.load import load_subject
from polysem.models.subject import Batch, Subject


def made_in_one_pass(extraction: Extraction, stores: Mapping[str, Path]) -> Iterator[Made]:
    """Make the stores of some sites at some places, each with its receipt, and give each as soon as it is whole. Memory
    does not grow with the number of tokens; of each site a chunk is held. Shards that an ended pass left stay.

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
    row = sum(map(sum, columns.values())) * np.dtype(extraction.dtype).itemsize + len(columns) * PLACE_BYTES
    there = sum(bytes_in(partial_of(path)) for path in stores.values())
    require_space(next(iter(stores.values())).parent, total * row - there)
    rules = left_out_at(subject, TokenStore(extraction.train_tokens), list(columns), extraction.leave_out)
    begun = time.monotonic()
    with ExitStack() as opened:
        writing: dict[str, StoreInMaking] = {}
        for site in columns:
            writing[site] = StoreInMaking(extraction, subject, site, stores[site], rules[site], total, *columns[site])
            opened.push(writing[site])
        yield from make_together(subject, tokens, writing, inputs=extraction.inputs)
    made = max(store.made for store in writing.values())
    speed = made / (time.monotonic() - begun)
    print(f"one pass for {', '.join(columns)}: {made:,} tokens, {speed:,.0f} tokens/s", file=sys.stderr)


def make_together(
    subject: Subject, tokens: TokenStore, writing: Mapping[str, StoreInMaking], *, inputs: bool
) -> Iterator[Made]:
    """Run the model over the sequences of a token store, in their order, until all stores are full or there are no
    more. Batches are the same wherever it begins, as the last digits of activations hang on their companions."""
    size = sequences_at_once(tokens, subject.device)
    left = dict(writing)
    first = min(store.begins for store in left.values()) // size * size
    for batch in tokens.batches(size, first):
        refused: dict[str, InputError] = {}
        if here := [site for site, store in left.items() if store.begins < first + size]:
            subject.visit(batch, here, partial(_add, left, refused, batch, first), inputs=inputs)
        for site in [site for site, store in left.items() if site in refused or store.writer.full]:
            store = left.pop(site)
            yield store.dropped(refused[site]) if site in refused else store.finished()
        if not left:
            return
        first += len(batch.counted)
    for store in left.values():
        yield store.finished()


def _add(
    writing: Mapping[str, StoreInMaking],
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
