"""A vocabulary of whole words, texts in it, and a model whose neurons fire on single tokens."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from polysem.io.stores import create_array, written_store
from polysem.tables.passes.matches.texts import OWN, Texts

WORDS = ("[B]", " red", "Red", " reds", " blue", " cat", " cats", "\n", "?")


@pytest.fixture
def ids() -> Callable[[str], list[int]]:
    """The tokens of words that are divided by bars: `[B]| red`."""
    return lambda text: [WORDS.index(word) for word in text.split("|")]


@pytest.fixture
def tokenizer(tmp_path) -> Path:
    """A file of a tokenizer that knows `WORDS`, divided by bars, and `[B]` as a special token."""
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    made.add_special_tokens(["[B]"])
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.fixture
def texts() -> Callable[..., Texts]:
    """Texts of eval sequences 0, 1 … by their tokens, of which the first, BOS, does not count; then one's own."""

    def make(sequences: Sequence[Sequence[int]], own: Sequence[Sequence[int]] = ()) -> Texts:
        every = [*sequences, *own]
        rows = np.zeros((len(every), max(map(len, every))), np.int64)
        counted = np.zeros(rows.shape, np.bool_)
        for number, tokens in enumerate(every):
            rows[number, : len(tokens)], counted[number, 1 : len(tokens)] = tokens, True
        origin = ["eval"] * len(sequences) + [OWN] * len(own)
        sequence = np.array([*range(len(sequences)), *[-1] * len(own)])
        return Texts(rows, counted, origin, sequence, np.zeros(len(every), np.int64))

    return make


@pytest.fixture
def word_store(tmp_path) -> Callable[..., Path]:
    """A token store of sequences with BOS, which says what it was made with."""

    def write(sequences: Sequence[Sequence[int]], context: int = 6) -> Path:
        path = tmp_path / "tokens/eval.zarr"
        length = np.array([len(row) for row in sequences], np.int32)
        rows = np.zeros((len(sequences), context), np.int32)
        for number, row in enumerate(sequences):
            rows[number, : len(row)] = row
        counted = (np.arange(context) < length[:, None]) & (rows != WORDS.index("[B]"))
        params = {"context_length": context, "packing": "documents", "bos_token": "[B]", "mask_tokens": ["[B]"]}
        attributes = {"kind": "text", "vocabulary": len(WORDS)}
        with written_store(
            path, attributes=attributes, params=params | {"split": "eval"}, code="", device="cpu"
        ) as group:
            for key, values in {"ids": rows, "length": length, "counted": counted}.items():
                dimensions = ("sequence", "position")[: values.ndim]
                create_array(group, key, values.shape, str(values.dtype), dimensions, compressed=True)[:] = values
        return path

    return write
