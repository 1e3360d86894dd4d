"""Step: train a byte-level BPE on the train split of a corpus."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from polysem.io.atomic import written
from polysem.io.errors import InputError


def train_tokenizer(corpus: Path, output: Path, vocabulary: int, bos_token: str) -> None:
    """Write `tokenizer.json`: a byte-level BPE of `vocabulary` entries, the BOS token being id 0.

    Raises InputError if the corpus has too few different words for so many entries.
    """
    os.environ["RAYON_NUM_THREADS"] = "1"  # merges with equal counts must always come in the same order
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[bos_token],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(train_texts(corpus), trainer)
    if (found := tokenizer.get_vocab_size()) < vocabulary:
        raise InputError(f"the corpus yields only {found} tokens, vocabulary is {vocabulary}; lower it or add text")
    with written(output) as partial:
        tokenizer.save(str(partial))


def train_texts(corpus: Path) -> Iterator[list[str]]:
    """Texts of the train split, in batches."""
    for batch in pq.ParquetFile(corpus).iter_batches(columns=["text", "split"]):
        yield [
            text
            for text, split in zip(*(batch[name].to_pylist() for name in ("text", "split")), strict=True)
            if split == "train"
        ]
