"""`source: generated`: stories of the project's own grammar and documents of other kinds, with ground-truth tags."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import pyarrow as pa

from polysem.corpora.kinds import arabic, base64, code, dna, hebrew, hexadecimal, keys
from polysem.corpora.sources.generated.section import GeneratedCorpus
from polysem.corpora.stories.story import tell_story
from polysem.corpora.tagged import Span, TaggedText, tags_column
from polysem.io.errors import InputError

OTHER_KINDS: dict[str, Callable[[Random], str]] = {
    "base64": base64.write,
    "dna": dna.write,
    "code": code.write,
    "arabic": arabic.write,
    "hebrew": hebrew.write,
    "hexadecimal": hexadecimal.write,
    "keys": keys.write,
}
ATTEMPTS = 200
"""Draws for one document before the generator counts as exhausted; with stories the second is hardly ever needed."""


def make(params: dict[str, Any]) -> pa.Table:
    """Columns `text`, `split` and `tags` (character offsets, half-open, sorted by start); train first, then eval.

    The document in a row is a pure function of seed, split, row and `other_kinds`, save that a text that has occurred
    before is drawn again: no text occurs twice, in one split or across them, and more documents leave the first ones
    as they are. Raises InputError when that many distinct documents cannot be found.
    """
    corpus = GeneratedCorpus.model_validate(params)
    seen: set[bytes] = set()
    parts = [
        _table(split, distinct_documents(_drawer(corpus, split), count, seen))
        for split, count in (("train", corpus.train_documents), ("eval", corpus.eval_documents))
    ]
    return pa.concat_tables(parts)


def kind_of_row(row: int, other_kinds: float) -> str:
    """`story` or one of the other kinds, spread evenly: the share and the equal parts hold for any number of rows."""
    before, after = int(row * other_kinds + 1e-9), int((row + 1) * other_kinds + 1e-9)
    return "story" if before == after else tuple(OTHER_KINDS)[before % len(OTHER_KINDS)]


def write_document(kind: str, random: Random) -> TaggedText:
    """One document of a kind, tagged `kind:…` as a whole."""
    if kind == "story":
        return tell_story(random)
    text = OTHER_KINDS[kind](random)
    return TaggedText(text, [(0, len(text), f"kind:{kind}")])


def distinct_documents(
    draw: Callable[[int, int], TaggedText], count: int, seen: set[bytes], attempts: int = ATTEMPTS
) -> Iterator[TaggedText]:
    """`count` documents from `draw(row, attempt)` whose texts are not in `seen`, which grows by their digests.

    Raises InputError when `attempts` draws for one row have all been seen.
    """
    for row in range(count):
        for attempt in range(attempts):
            document = draw(row, attempt)
            digest = hashlib.blake2b(document.text.encode("utf-8"), digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                yield document
                break
        else:
            raise InputError(
                f"the generator found only {len(seen):,} distinct documents and {count - row:,} more are wanted;"
                " lower train_documents or eval_documents, or choose an other_kinds nearer to 0"
            )


def _drawer(corpus: GeneratedCorpus, split: str) -> Callable[[int, int], TaggedText]:
    def draw(row: int, attempt: int) -> TaggedText:
        key = hashlib.blake2b(f"{corpus.seed}/{split}/{row}/{attempt}".encode(), digest_size=8).digest()
        return write_document(kind_of_row(row, corpus.other_kinds), Random(int.from_bytes(key, "big")))

    return draw


def _table(split: str, documents: Iterable[TaggedText]) -> pa.Table:
    texts: list[str] = []

    def spans() -> Iterator[list[Span]]:
        for document in documents:
            texts.append(document.text)
            yield document.spans

    tags = tags_column(spans())
    columns = {"text": pa.array(texts, pa.string()), "split": pa.array([split] * len(texts), pa.string())}
    return pa.table(columns | {"tags": tags})
