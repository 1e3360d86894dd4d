"""`source: files`: text from local files."""

from typing import Any

import pyarrow as pa

from polysem.corpora.proxies import with_proxies
from polysem.corpora.readers import corpus_files, read_files
from polysem.corpora.splits import split_by_hash
from polysem.params.corpora.files import FilesCorpus


def make(params: dict[str, Any]) -> pa.Table:
    """Columns `text`, `split` and, with proxies, `tags`, in the order of the files; split by a hash of the text, exact
    duplicates dropped.

    Relative paths start at the current folder. Raises InputError for a path that matches nothing, a file that is not
    what `format` says, and a split without documents.
    """
    corpus = FilesCorpus.model_validate(params)
    texts = read_files(corpus_files(corpus.paths), corpus.format, corpus.separator, corpus.field)
    documents = split_by_hash(texts, corpus.eval_share, corpus.limit, origin=f"`{corpus.paths}`")
    return with_proxies(documents, corpus.proxies)
