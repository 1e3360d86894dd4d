"""`source: huggingface`: a text data set of the Hugging Face hub, streamed, or a local copy of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from polysem.corpora.compressed import unpacked_name
from polysem.corpora.hub import require_hub, stream
from polysem.corpora.proxies import with_proxies
from polysem.corpora.readers import SUFFIXES, Reading, corpus_files
from polysem.corpora.sources.huggingface.section import HuggingFaceCorpus
from polysem.corpora.splits import documents_table, first_distinct, split_by_hash
from polysem.io.errors import InputError
from polysem.io.files import expanded, matching_files

ADVICE = "set `local_copy:` to a local .txt, .jsonl, .json or .parquet file (or a folder or glob of them), or go online"


def make(params: dict[str, Any]) -> pa.Table:
    """Columns `text`, `split` and, with proxies, `tags`, in the order of the data set, exact duplicates dropped.

    With `eval_split` its documents that are not also in the train split are the eval split; otherwise, and always
    with a `local_copy` (which has no named splits), the split is by a hash of the text. Raises InputError when the hub
    cannot be reached, the column is missing, or a split has no documents.
    """
    corpus = HuggingFaceCorpus.model_validate(params)
    origin = f"data set `{corpus.dataset}`"
    if corpus.local_copy is not None:
        found, reading = local_files(corpus), reading_of(corpus)
        origin = f"{origin}, local copy `{corpus.local_copy}`,"
        documents = split_by_hash(reading.texts(found), corpus.eval_share, corpus.limit, origin, reading.advice)
        documents = documents.replace_schema_metadata(reading.counts())
    else:
        require_hub(corpus.dataset, corpus.revision, ADVICE)
        documents = from_splits(corpus, corpus.revision)
    return with_proxies(documents, corpus.proxies)


def reading_of(corpus: HuggingFaceCorpus) -> Reading:
    """How the files of a local copy are read; their names say what they are."""
    return Reading(None, corpus.separator, corpus.field)


def from_splits(corpus: HuggingFaceCorpus, revision: str | None) -> pa.Table:
    """Columns `text` and `split` out of the data set's own splits; `corpus.dataset` may be a local folder (`revision`
    None)."""
    origin, reading = f"data set `{corpus.dataset}`", reading_of(corpus)
    texts = reading.kept(_rows(corpus, corpus.split, revision))
    if corpus.eval_split is None:
        documents = split_by_hash(texts, corpus.eval_share, corpus.limit, origin)
    else:
        seen: set[bytes] = set()
        train = list(first_distinct(texts, corpus.limit, seen))
        rows = _rows(corpus, corpus.eval_split, revision)
        held_out = list(first_distinct(reading.kept(rows), corpus.limit, seen))
        splits = ["train"] * len(train) + ["eval"] * len(held_out)
        documents = documents_table(train + held_out, splits, origin)
    return documents.replace_schema_metadata(reading.counts())


def _rows(corpus: HuggingFaceCorpus, split: str, revision: str | None) -> Iterator[str | None]:
    for row in stream(corpus.dataset, corpus.config, split, revision):
        if not isinstance(row.get(corpus.field), str | None) or corpus.field not in row:
            raise InputError(
                f"data set `{corpus.dataset}` has no text in a column `{corpus.field}`;"
                f" set `field` to one of: {', '.join(row)}"
            )
        yield row[corpus.field]


def local_files(corpus: HuggingFaceCorpus) -> list[Path]:
    """The files of its local copy; InputError where there are none."""
    assert corpus.local_copy is not None
    local_copy = corpus.local_copy
    if not expanded(local_copy).is_dir():
        return corpus_files(local_copy)
    files = [path for path in matching_files(local_copy) if unpacked_name(path).suffix.lower() in SUFFIXES]
    if not files:
        raise InputError(
            f"the folder `{local_copy}` holds no {', '.join(SUFFIXES)} file; set `local_copy:` to one that does"
        )
    return files
