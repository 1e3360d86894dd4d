"""The step that makes a corpus: documents or images with a train and an eval split."""

import importlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from polysem.io.atomic import written
from polysem.io.errors import InputError
from polysem.params.addons import modules_of

SOURCES = "polysem.corpora.sources"
ROWS_PER_GROUP = 8192


def make_corpus(output: Path, source: str, params: dict[str, Any]) -> None:
    """Write `documents.parquet` of one corpus; the same params give the same bytes.

    `source` is the name of a folder in `polysem.corpora.sources`, `params` are the keys of the entry in `params.yaml`.
    Text has columns `text`, `split` ("train" or "eval") and, where the truth is known or proxies stand in for it,
    `tags` (start, end, tag); images have `image` (pixels row by row, in [0, 1]), `label` and `split`, and `height`,
    `width` and `classes` in the schema's metadata. For text the metadata counts rows that were left out for want of
    text and texts that were mended, if there were any; both are printed. Raises InputError for bad input; no file is
    left behind then.
    """
    known = modules_of(SOURCES)
    if source not in known:
        raise InputError(f"there is no corpus source `{source}`; choose one of: {', '.join(known)}")
    table = importlib.import_module(f"{known[source]}.make").make(params)
    for name, value in (table.schema.metadata or {}).items():
        print(f"{name.decode()}: {value.decode()}")
    with written(output) as partial:
        pq.write_table(table, partial, compression="zstd", row_group_size=ROWS_PER_GROUP)
