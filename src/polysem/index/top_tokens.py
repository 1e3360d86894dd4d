"""What the top examples of features are about: tokens of a language model, classes of a classifier's images."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from polysem.index.feature_index import FeatureIndex
from polysem.io.errors import InputError
from polysem.models.tokenizer import load_tokenizer
from polysem.models.vocabulary import Vocabulary

Value = TypeVar("Value")
Name = Callable[[int, int], str]
"""The text of a token, or of what is in an image, by token and sequence."""


def by_count(values: Sequence[Value]) -> list[Value]:
    """The different ones of some values, most frequent first, the earlier first of those that are as frequent."""
    return sorted(dict.fromkeys(values), key=lambda value: (-values.count(value), values.index(value)))


def name_of_class(label: int) -> str:
    """How pages call a class of a classifier."""
    return f"class {label}"


def naming(tokenizer: Path | None, images: Path | None) -> Name:
    """How the tokens of a model are called, by its tokenizer or by the token store of a classifier. InputError if
    neither is given."""
    if tokenizer is not None:
        vocabulary = Vocabulary(load_tokenizer(tokenizer))
        return lambda token, _: vocabulary.text(token)
    if images is None:
        raise InputError("give --tokenizer for a language model, or --images for a classifier")
    from polysem.io.stores import open_store, read_array

    labels = np.asarray(read_array(open_store(images), "labels")[:])
    return lambda _, sequence: name_of_class(int(labels[sequence]))


def top_tokens(index: FeatureIndex, name: Name) -> Iterator[list[str]]:
    """Of every feature the tokens of its top examples, the largest activation first; none if it is never active."""
    is_top = index.column("examples", "kind") == "top"
    key = int(np.flatnonzero(index.column("examples", "offset") == 0)[0])
    sequences = index.column("examples", "sequence")[:, is_top]
    tokens = index.column("examples", "token")[:, is_top, key]
    for row, places in zip(tokens.tolist(), sequences.tolist(), strict=True):
        yield [name(token, place) for token, place in zip(row, places, strict=True) if place >= 0]
