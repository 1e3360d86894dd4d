"""`source: files`: text from local files."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from polysem.corpora.proxies import with_proxies
from polysem.corpora.readers import Reading, corpus_files
from polysem.corpora.sources.files.section import FilesCorpus
from polysem.corpora.splits import split_by_hash


def make(params: dict[str, Any]) -> pa.Table:
    """Columns `text`, `split` and, with proxies, `tags`, in the order of the files; split by a hash of the text, exact
    duplicates dropped. What was left out is counted in the metadata.

    Relative paths start at the current folder. Raises InputError for a path that matches nothing, a file that is not
    what `format` says, and a split without documents.
    """
    corpus = FilesCorpus.model_validate(params)
    found, reading = local_files(corpus), reading_of(corpus)
    origin = f"`{corpus.paths}`"
    documents = split_by_hash(reading.texts(found), corpus.eval_share, corpus.limit, origin, reading.advice)
    return with_proxies(documents.replace_schema_metadata(reading.counts()), corpus.proxies)


def local_files(corpus: FilesCorpus) -> list[Path]:
    """The files that it is read from; InputError for a path that matches nothing."""
    return corpus_files(corpus.paths)


def reading_of(corpus: FilesCorpus) -> Reading:
    """How they are read. A file whose name says nothing is text."""
    return Reading(corpus.format, corpus.separator, corpus.field, unnamed="text")
