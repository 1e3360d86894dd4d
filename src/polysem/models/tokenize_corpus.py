"""Step: turn a split of a corpus into the sequences that a model reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray
from tokenizers import Tokenizer

from polysem.io.errors import InputError
from polysem.io.shards import ROWS_PER_CHUNK
from polysem.io.stores import create_array, written_store
from polysem.models.packing import Concatenated, Documents, Packed, Packing
from polysem.models.tokenizer import load_tokenizer, token_id
from polysem.params.base import Section

BITS = 64


class Tokenization(Section):
    """The keys of a language model that decide its sequences."""

    context_length: int
    packing: Literal["documents", "concatenated"]
    bos_token: str | None
    mask_tokens: list[str]


def tokenize_corpus(
    corpus: Path, tokenizer: Path, output: Path, split: Literal["train", "eval"], params: Tokenization, code: str
) -> None:
    """Write a token store and its receipt.

    Arrays: `ids` int32 [sequence, position]; `length` int32 [sequence], positions before padding; `counted` bool
    [sequence, position], false at padding and at masked tokens; where the corpus has tags, `tags` uint64 [sequence,
    position, word]: bit i of the concatenated words says whether any character of the token carries tag i of the
    attribute `tags`. Raises InputError if the split fills no sequence.
    """
    tokens = load_tokenizer(tokenizer)
    front = Front(tokens, params.bos_token)
    masked = np.array([token_id(tokens, token) for token in params.mask_tokens], np.int32)
    tags = tag_names(corpus)
    packer: Packing = (Documents if params.packing == "documents" else Concatenated)(params.context_length)
    attributes = {
        "kind": "text",
        "tags": tags,
        "context_length": params.context_length,
        "vocabulary": tokens.get_vocab_size(),
    }
    with written_store(
        output,
        attributes=attributes,
        params=params.values() | {"split": split},
        code=code,
        device="cpu",
        libraries=("numpy", "tokenizers", "zarr"),
    ) as group:
        arrays = _Arrays(group, params.context_length, len(tags))
        for ids, bits in _documents(corpus, split, tokens, front, tags):
            for packed in packer.add(ids, bits):
                arrays.append(packed, masked)
        for packed in packer.rest():
            arrays.append(packed, masked)
        if not arrays.close():
            raise InputError(
                f"the {split} split of {corpus} fills no sequence of {params.context_length} tokens; "
                "add documents, lower context_length, or choose packing: documents"
            )


def tag_names(corpus: Path) -> list[str]:
    """All tags of a corpus, sorted; none where it carries none."""
    file = pq.ParquetFile(corpus)
    if "tags" not in file.schema_arrow.names:
        return []
    names: set[str] = set()
    for batch in file.iter_batches(columns=["tags"]):
        names.update(batch["tags"].flatten().field("tag").unique().to_pylist())
    return sorted(names)


class Front:
    """What stands in front of every document: nothing, or the BOS token.

    `text` is put before the text and `ids` before its ids; one of them is empty. A BOS token that the tokenizer looks
    for in normalised text belongs into the text: Llama tokenizers begin a text with a blank of their own, and a model
    that was trained on texts with such a BOS token has never seen that blank behind it.
    """

    def __init__(self, tokenizer: Tokenizer, bos_token: str | None) -> None:
        self.text, self.ids = "", np.empty(0, np.int32)
        if bos_token is None:
            return
        bos = token_id(tokenizer, bos_token)
        added = tokenizer.get_added_tokens_decoder().get(bos)
        if added is not None and added.normalized:
            self.text = bos_token
        else:
            self.ids = np.array([bos], np.int32)


def _documents(
    corpus: Path, split: str, tokenizer: Tokenizer, front: Front, tags: list[str]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint64]]]:
    """Ids [position] and tag bits [position, word] of each document, the BOS token in front."""
    columns = ["text", "split", "tags"] if tags else ["text", "split"]
    number = {tag: index for index, tag in enumerate(tags)}
    for batch in pq.ParquetFile(corpus).iter_batches(batch_size=1024, columns=columns):
        rows = [row for row in batch.to_pylist() if row["split"] == split]
        encodings = tokenizer.encode_batch([front.text + row["text"] for row in rows], add_special_tokens=False)
        for row, encoding in zip(rows, encodings, strict=True):
            ids = np.array(encoding.ids, np.int32)
            bits = np.zeros((len(ids), 0), np.uint64)
            if tags:
                offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2) - len(front.text)
                bits = tag_bits(offsets, row["text"], row["tags"] or [], number)
            yield np.concatenate([front.ids, ids]), np.pad(bits, ((len(front.ids), 0), (0, 0)))


def tag_bits(
    offsets: NDArray[np.int64], text: str, spans: list[dict[str, Any]], number: dict[str, int]
) -> NDArray[np.uint64]:
    """Bits of the tags that each token's characters carry, uint64 [position, word]; `offsets` [position, 2] into the
    text are half-open, and not positive for a BOS token in front of it.

    A token belongs to a span if it shares a character other than leading white space with it: in ` Lily` the blank is
    no part of the name. A token of nothing but white space belongs to the spans around it.
    """
    bits = np.zeros((len(offsets), -(-len(number) // BITS)), np.uint64)
    if not spans:
        return bits
    begins = [_first_visible(text, start, end) for start, end in offsets.tolist()]
    first = np.searchsorted(offsets[:, 1], [span["start"] for span in spans], side="right")
    last = np.searchsorted(begins, [span["end"] for span in spans], side="left")
    for span, start, stop in zip(spans, first, last, strict=True):
        word, bit = divmod(number[span["tag"]], BITS)
        bits[start:stop, word] |= np.uint64(1 << bit)
    return bits


def _first_visible(text: str, start: int, end: int) -> int:
    """Where the first character that is no white space stands; `start` if all of them are."""
    if start < 0 or not text[start : start + 1].isspace():
        return start
    visible = text[start:end].lstrip()
    return end - len(visible) if visible else start


class _Arrays:
    """The arrays of a token store, grown by whole chunks."""

    def __init__(self, group: zarr.Group, context: int, tags: int) -> None:
        words = -(-tags // BITS)
        self._columns: dict[str, tuple[zarr.Array, list[NDArray[Any]]]] = {}
        for name, tail, dtype in [
            ("ids", (context,), "int32"),
            ("length", (), "int32"),
            ("counted", (context,), "bool"),
            *([("tags", (context, words), "uint64")] if words else []),
        ]:
            dimensions = ("sequence", "position", "word")[: len(tail) + 1]
            array = create_array(group, name, (0, *tail), dtype, dimensions, compressed=True)
            self._columns[name] = (array, [])

    def append(self, packed: Packed, masked: NDArray[np.int32]) -> None:
        """Add one sequence."""
        counted = (np.arange(len(packed.ids)) < packed.length) & ~np.isin(packed.ids, masked)
        length = np.array(packed.length, np.int32)
        values = {"ids": packed.ids, "length": length, "counted": counted, "tags": packed.bits}
        for name, (_, rows) in self._columns.items():
            rows.append(values[name])
        if len(self._columns["ids"][1]) == ROWS_PER_CHUNK:
            self.close()

    def close(self) -> int:
        """Write what is left; the number of sequences written in all."""
        for array, rows in self._columns.values():
            if rows:
                array.append(np.stack(rows))
                rows.clear()
        return int(self._columns["ids"][0].shape[0])
